"""Celery tasks as other programs push them, valid and invalid."""

import json
import random
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from kombu.utils.json import dumps

from delivery.intake.celery_task import BODY_LIMIT_BYTES, TASK_LIMIT_BYTES, read_celery_task
from delivery.intake.direct_sends import read_direct_send
from delivery.intake.errors import InvalidInput
from delivery.intake.unreadable_tasks import find_sender
from delivery.vocabulary import QueueName
from tests.support import build
from tests.support.direct_sends import envelope, fields, sealed
from tests.support.hostile_payloads import hostile_payloads

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


def by_kombu(keywords: dict[str, Any]) -> bytes:
    """Make a task as kombu serializes these keyword arguments."""
    return sealed(dumps([[], keywords, {}]).encode())  # type: ignore[no-untyped-call] # kombu has no types here


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


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (UUID("31c8d3e7-0000-4000-8000-00000000000a"), "31c8d3e7-0000-4000-8000-00000000000a"),
        ([UUID(int=1), "x"], ["00000000-0000-0000-0000-000000000001", "x"]),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
        (date(2026, 3, 1), "2026-03-01"),
        (time(12, 30), "12:30:00"),
        (Decimal("1.50"), 0.0),
        (Decimal("NaN"), 0.0),
        (b"Gr\xc3\xbc\xc3\x9fe", "Gr\u00fc\u00dfe"),
        (b"\xff", b"\xff"),
    ],
)
def test_what_kombu_writes_for_other_types_is_read(value: object, read: object) -> None:
    assert {"field": read} == read_celery_task(by_kombu({"field": value}))


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "uuid", "__value__": {"hex": "x"}},
        {"__type__": "uuid", "__value__": {"int": "1"}},
        {"__type__": "uuid", "__value__": "31c8d3e7000040008000000000000001"},
        {"__type__": "datetime", "__value__": ["2026"]},
        {"__type__": "decimal", "__value__": "one"},
        {"__type__": "base64", "__value__": "*"},
        {"__type__": "base64", "__value__": "\u2603"},
        {"__type__": ["uuid"], "__value__": {}},
        {"__type__": "object", "__value__": "x"},
        {"__type__": "uuid", "__value__": {"hex": "31c8d3e7000040008000000000000001"}, "more": "x"},
        {"__type__": "uuid"},
    ],
)
def test_any_other_object_stays_an_object(value: object) -> None:
    assert {"field": value} == read_celery_task(envelope({"field": value}))


def test_a_send_with_uuids_of_python_is_a_valid_send() -> None:
    sent = fields(message_uuid=build.MESSAGE_ID, recipient_uuids=[build.account_id(1), build.account_id(2)])

    read = read_direct_send(read_celery_task(by_kombu(sent)))

    assert (build.MESSAGE_ID, (build.account_id(1), build.account_id(2))) == (read.message_id, read.given_ids)


SENDER = {"message_uuid": str(build.MESSAGE_ID), "token": "at_0"}
NAMED = json.dumps(SENDER)[1:-1]
HEX = f'"message_uuid": {{"__type__": "uuid", "__value__": {{"hex": "{build.MESSAGE_ID.hex}"}}}}'


@pytest.mark.parametrize(
    "raw",
    [
        envelope(SENDER, headers={"task": "messages.decide"}),
        envelope(SENDER, **{"content-encoding": "latin-1"}),
        envelope(SENDER, positional=["a"]),
        envelope(None, positional=[SENDER]),
        envelope({**SENDER, "body": "a" * BODY_LIMIT_BYTES}),
        b" " * TASK_LIMIT_BYTES + envelope(SENDER),
        sealed(b"[[], {%s, NaN}]" % NAMED.encode()),
        sealed(b"[[], {%s, %s}]" % (NAMED.encode(), NAMED.encode())),
        sealed(b'[[], {%s, "a": "\\ud800"}, %s' % (NAMED.encode(), b"[" * 1000)),
        sealed(b"[[], {%s, \xff}]" % NAMED.encode()),
        sealed(b'[[], {"token": "at_0", %s}, NaN]' % HEX.encode()),
        sealed(b"", properties={}, body=json.dumps([[], SENDER, float("nan")])),
        json.dumps(SENDER).encode(),
        envelope(SENDER) + b"x",
    ],
)
def test_the_sender_of_an_unreadable_task_is_found_where_its_body_names_it(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_celery_task(raw)

    assert SENDER == find_sender(raw)


@pytest.mark.parametrize("case", NOT_READABLE)
def test_an_unreadable_task_that_names_no_sender_has_none(case: str) -> None:
    assert {} == find_sender(NOT_READABLE[case][0])


def test_a_text_that_quotes_another_sender_names_none() -> None:
    assert {} == find_sender(envelope({"body": NAMED}, headers={}))


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


def test_of_ten_thousand_hostile_payloads_each_is_read_or_has_a_fault_and_its_sender_is_looked_for() -> None:
    read = 0
    for raw in hostile_payloads(10_000, QueueName.ACCEPT, chance=random.Random(1)):
        assert set(find_sender(raw)) <= {"message_uuid", "token"}
        with suppress(InvalidInput):
            read_celery_task(raw)
            read += 1

    assert 0 < read < 10_000
