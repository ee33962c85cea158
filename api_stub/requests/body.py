"""Read a request's body: bounded in size, in one of three encodings, strictly."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http import HTTPStatus

from fastapi import Request

from api_stub.server.errors import ApiError
from delivery.intake.charsets import UTF_8, read_charset
from delivery.intake.errors import body_fault
from delivery.intake.forms import read_multipart, read_urlencoded
from delivery.intake.header_options import read_options
from delivery.intake.strict_json import read_object

BODY_LIMIT_BYTES = 1024 * 1024
ANONYMOUS_LIMIT_BYTES = 8 * 1024
"""The limit where the body is read before the client is known."""

_LARGE_BYTES = 64 * 1024

_JSON = "application/json"
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
ENCODINGS = (_JSON, _URLENCODED, _MULTIPART)


def refuse_declared_length(request: Request, limit_bytes: int = BODY_LIMIT_BYTES) -> None:
    """Refuse a body whose Content-Length is too large, before any of it is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit_bytes:
        raise _too_large(limit_bytes)


async def read_body(request: Request, limit_bytes: int = BODY_LIMIT_BYTES) -> bytes:
    """Read a body of any type. Raises `ApiError` (413)."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
    return bytes(body)


async def read_fields(request: Request, limit_bytes: int = BODY_LIMIT_BYTES) -> Mapping[str, object]:
    """Read the fields of a JSON object or of a form.

    Raises `ApiError` (413, 415) or `InvalidInput`.
    """
    media_type = _media_type(request)
    body = await read_body(request, limit_bytes)
    content_type = request.headers["content-type"].encode("latin-1")
    if len(body) < _LARGE_BYTES:
        return _parse(body, media_type, content_type)
    # A hostile mebibyte takes up to 100 ms. In one thread of its own it delays other large bodies, and no small ones.
    return await asyncio.get_running_loop().run_in_executor(_large_bodies(), _parse, body, media_type, content_type)


async def read_form(request: Request, limit_bytes: int) -> Mapping[str, object]:
    """Read the fields of a form, where JSON is not accepted. Raises as `read_fields` does."""
    if _media_type(request) == _JSON:
        raise _unsupported(f"Send the form as {_URLENCODED} or {_MULTIPART}.")
    return await read_fields(request, limit_bytes)


@cache
def _large_bodies() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="large-bodies")


def _parse(body: bytes, media_type: str, content_type: bytes) -> Mapping[str, object]:
    if media_type == _MULTIPART:
        return read_multipart(body, content_type)
    charset = read_options(content_type).get(b"charset")
    if media_type == _URLENCODED:
        return read_urlencoded(body, charset)
    if read_charset(charset) != UTF_8:
        raise body_fault("invalid_encoding", "JSON is sent in UTF-8, and the Content-Type names another charset.")
    return read_object(body)


def _media_type(request: Request) -> str:
    types = request.headers.getlist("content-type")
    media_type = types[0].partition(";")[0].strip().lower() if len(types) == 1 else ""
    if media_type not in ENCODINGS:
        raise _unsupported()
    if "content-encoding" in request.headers:
        raise _unsupported("Send the body as it is, without a Content-Encoding.")
    return media_type


def _too_large(limit_bytes: int) -> ApiError:
    largest = "1 MiB" if limit_bytes == BODY_LIMIT_BYTES else f"{limit_bytes // 1024} KiB"
    description = f"The body is larger than {largest}. Send less text."
    return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", description)


def _unsupported(
    description: str = f"Set Content-Type to what the body is: {_JSON}, {_URLENCODED} or {_MULTIPART}.",
) -> ApiError:
    return ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", description)
