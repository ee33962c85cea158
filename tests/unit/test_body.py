"""Reading the body of a request."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.requests import Request

from api_stub.requests.body import BODY_LIMIT_BYTES, read_fields, refuse_declared_length
from api_stub.server.errors import ApiError
from delivery.intake.errors import InvalidInput

JSON = "application/json"


def read(body: bytes, media_type: str | None = JSON, *more: tuple[bytes, bytes]) -> Mapping[str, object]:
    """Read a request with this body, which arrives in pieces."""
    pieces = [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    headers = [*more] if media_type is None else [(b"content-type", media_type.encode()), *more]
    return asyncio.run(read_fields(Request({"type": "http", "method": "POST", "headers": headers}, receive)))


@pytest.mark.parametrize("media_type", [JSON, "Application/JSON", "application/json; charset=utf-8"])
def test_an_object_of_json_is_read(media_type: str) -> None:
    assert {"body": "\u00fc"} == read('{"body": "\u00fc"}'.encode(), media_type)


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "us-ascii", "zanzibar", ""])
def test_json_in_another_charset_is_refused(charset: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(b"{}", f"application/json; charset={charset}")

    assert [("", "invalid_encoding")] == [(each.field, each.code) for each in refused.value.faults]


def test_a_form_is_read_in_its_charset() -> None:
    assert {"body": "\u00e4"} == read(b"body=%e4", "application/x-www-form-urlencoded; charset=Latin1")


@pytest.mark.parametrize("media_type", [None, "", "text/plain", "application/jsonx", "text/json"])
def test_any_other_media_type_is_refused(media_type: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        read(b"{}", media_type)

    assert 415 == refused.value.status
    assert "Set Content-Type to what the body is: application/json, " in str(refused.value.description)


def test_the_same_fields_come_out_of_every_encoding() -> None:
    form = b"--x\r\nContent-Disposition: form-data; name=body\r\n\r\nHello\r\n--x--\r\n"

    assert {"body": "Hello"} == read(b'{"body": "Hello"}')
    assert {"body": "Hello"} == read(b"body=Hello", "application/x-www-form-urlencoded; charset=UTF-8")
    assert {"body": "Hello"} == read(form, "multipart/form-data; boundary=x")


def test_a_body_that_is_encoded_once_more_is_refused() -> None:
    with pytest.raises(ApiError) as refused:
        read(b"{}", JSON, (b"content-encoding", b"gzip"))

    assert 415 == refused.value.status


def test_two_media_types_are_none() -> None:
    with pytest.raises(ApiError) as refused:
        read(b"{}", JSON, (b"content-type", b"application/json"))

    assert 415 == refused.value.status


@pytest.mark.parametrize(("declared", "is_refused"), [("1048576", False), ("1048577", True), ("9" * 400, True)])
def test_a_body_that_is_declared_too_large_is_refused_unread(declared: str, is_refused: bool) -> None:  # noqa: FBT001 - a column of the table
    request = Request({"type": "http", "method": "POST", "headers": [(b"content-length", declared.encode())]})

    if is_refused:
        with pytest.raises(ApiError):
            refuse_declared_length(request)
    else:
        refuse_declared_length(request)


def test_a_body_may_have_one_mebibyte_and_not_a_byte_more() -> None:
    padding = b" " * (BODY_LIMIT_BYTES - 2)

    assert {} == read(b"{}" + padding)
    with pytest.raises(ApiError) as refused:
        read(b"{} " + padding)
    assert 413 == refused.value.status
