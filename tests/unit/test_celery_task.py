"""Celery tasks as other programs push them, valid and invalid."""

import json
from base64 import b64encode
from typing import Any

import pytest

from delivery.intake.celery_task import BODY_LIMIT_BYTES, TASK_LIMIT_BYTES, read_celery_task
from delivery.intake.direct_sends import read_direct_send
from delivery.intake.errors import InvalidInput
from tests.support import build
from tests.support.direct_sends import envelope, fields, sealed

HEADERS = {"task": "messages.accept"}

NOT_READABLE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "invalid_json"),
    "no JSON": (b"hello", "invalid_json"),
    "bytes": (b"\xff\xfe\x00", "invalid_encoding"),
    "a number": (b"7", "not_an_object"),
    "a list": (b"[]", "not_an_object"),
    "deep": (b"[" * 100_000, "too_deep"),
    "no headers": (b"{}", "invalid_request"),
    "headers of text": (sealed(b"[]", headers="messages.accept"), "invalid_request"),
    "headers of a list": (sealed(b"[]", headers=["task"]), "invalid_request"),
    "another task": (sealed(b"[]", headers={"task": "messages.decide"}), "invalid_request"),
    "a task of no text": (sealed(b"[]", headers={"task": ["messages.accept"]}), "invalid_request"),
    "compressed": (sealed(b"[]", headers={**HEADERS, "compression": "application/x-gzip"}), "invalid_request"),
    "pickle": (sealed(b"x", **{"content-type": "application/x-python-serialize"}), "invalid_request"),
    "latin-1": (sealed(b"[[],{}]", **{"content-encoding": "latin-1"}), "invalid_request"),
    "no body": (sealed(b"", body=None), "invalid_request"),
    "a body of a list": (sealed(b"", body=[[], {}, {}]), "invalid_request"),
    "no base64": (sealed(b"", body="*"), "invalid_request"),
    "a snowman as base64": (sealed(b"", body="\u2603"), "invalid_request"),
    "an empty body": (sealed(b""), "invalid_json"),
    "a body of no UTF-8": (sealed(b"\xff"), "invalid_encoding"),
    "UTF-16": (sealed("[[],{}]".encode("utf-16")), "invalid_encoding"),
    "NaN": (sealed(b"[[],{},NaN]"), "invalid_json"),
    "a key twice": (sealed(b'[[],{"body":"a","body":"b"}]'), "duplicate_key"),
    "a lone surrogate": (sealed(b'[[],{"body":"\\ud800"}]'), "invalid_encoding"),
    "a deep body": (sealed(b"[[],{}," + b"[" * 9 + b"]" * 9 + b"]"), "too_deep"),
    "endless nesting": (sealed(b"[" * 300_000), "too_deep"),
    "a body of an object": (sealed(b"{}"), "invalid_request"),
    "one argument list": (sealed(b"[[]]"), "invalid_request"),
    "positions": (envelope({}, positional=["a"]), "invalid_request"),
    "positions of an object": (envelope({}, positional={"a": 1}), "invalid_request"),
    "keywords of a list": (envelope([]), "invalid_request"),
    "keywords of nothing": (envelope(None), "invalid_request"),
    "a long body": (envelope({"body": "a" * BODY_LIMIT_BYTES}), "too_long"),
    "a long task": (b" " * (TASK_LIMIT_BYTES + 1), "too_long"),
}


@pytest.mark.parametrize("case", NOT_READABLE)
def test_an_unreadable_task_has_one_fault_of_the_whole(case: str) -> None:
    raw, code = NOT_READABLE[case]

    with pytest.raises(InvalidInput) as caught:
        read_celery_task(raw)

    assert [("", code)] == [(fault.field, fault.code) for fault in caught.value.faults]


@pytest.mark.parametrize(
    "outside",
    [
        {},
        {"content-encoding": "UTF-8"},
        {"properties": None, "body": json.dumps([[], {"body": "b"}])},
        {"body": b64encode(b'[[], {"body": "b"}]').decode() + "\n"},
        {"headers": {**HEADERS, "eta": "never", "expires": -1, "retries": 10**400, "timelimit": "x", "stamps": {}}},
    ],
    ids=["honest", "in capitals", "without base64", "a line break in base64", "odd headers"],
)
def test_a_readable_task_is_read_into_its_keyword_arguments(outside: dict[str, Any]) -> None:
    assert {"body": "b"} == read_celery_task(envelope({"body": "b"}, **outside))


def test_fields_may_be_nested_as_deeply_as_in_a_request() -> None:
    nested = json.loads("[" * 7 + "]" * 7)

    assert {"extra": nested} == read_celery_task(envelope({"extra": nested}))


def test_all_faults_of_the_fields_and_of_the_id_are_reported_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_direct_send(
            {"recipient_uuids": ["x", 1], "subject": "\x00", "body": "", "type": "spam", "message_uuid": 7}
        )

    assert [
        ("body", "blank"),
        ("message_uuid", "wrong_type"),
        ("recipient_uuids[0]", "invalid_uuid"),
        ("recipient_uuids[1]", "wrong_type"),
        ("sender_name", "required"),
        ("subject", "forbidden_character"),
        ("type", "invalid_value"),
    ] == [(fault.place, fault.code) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("message_uuid", "code"),
    [(None, "required"), ("", "invalid_uuid"), ("{" + str(build.MESSAGE_ID) + "}", "invalid_uuid"), ([], "wrong_type")],
)
def test_a_missing_or_invalid_id_is_a_fault(message_uuid: object, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_direct_send(fields(build.account_id(), message_uuid=message_uuid))

    assert [("message_uuid", code)] == [(fault.field, fault.code) for fault in caught.value.faults]
