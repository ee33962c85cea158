"""Reading the body of a request."""

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.requests import Request

from api_stub.bodies import BODY_LIMIT_BYTES, read_fields
from api_stub.errors import Refusal
from delivery.intake.faults import Unacceptable
from tests.unit.leaping import run

JSON = "application/json"


def read(body: bytes, media_type: str | None = JSON) -> Mapping[str, object]:
    """Read a request with this body, which arrives in pieces."""
    pieces = [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    headers = [] if media_type is None else [(b"content-type", media_type.encode())]
    return run(read_fields(Request({"type": "http", "method": "POST", "headers": headers}, receive)))


@pytest.mark.parametrize("media_type", [JSON, "Application/JSON", "application/json; charset=utf-8"])
def test_an_object_of_json_is_read(media_type: str) -> None:
    assert {"body": "\u00fc"} == read('{"body": "\u00fc"}'.encode(), media_type)


@pytest.mark.parametrize("media_type", [None, "", "text/plain", "application/jsonx", "text/json"])
def test_anything_that_does_not_say_it_is_json_is_refused(media_type: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        read(b"{}", media_type)

    assert 415 == refused.value.status


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nul", b"\xff\xfe", b'{"a": "\xc3"}', b"[" * 100_000, b'{"a": ' * 100_000, b"1" * 5_000, b"{'a': 1}"],
)
def test_what_is_no_json_is_a_fault_of_the_whole_body(body: bytes) -> None:
    with pytest.raises(Unacceptable) as refused:
        read(body)

    assert [("", "invalid_json")] == [(fault.place, fault.code) for fault in refused.value.faults]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"null", b"true"])
def test_json_that_is_no_object_is_a_fault_of_the_whole_body(body: bytes) -> None:
    with pytest.raises(Unacceptable) as refused:
        read(body)

    assert [("", "not_an_object")] == [(fault.place, fault.code) for fault in refused.value.faults]


def test_a_body_may_have_one_mebibyte_and_not_a_byte_more() -> None:
    padding = b" " * (BODY_LIMIT_BYTES - 2)

    assert {} == read(b"{}" + padding)
    with pytest.raises(Refusal) as refused:
        read(b"{} " + padding)
    assert 413 == refused.value.status
