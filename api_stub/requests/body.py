"""Read a request's body: bounded in size, in one of three encodings, strictly."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request
from python_multipart.multipart import parse_options_header

from api_stub.server.errors import ApiError
from delivery.intake.charsets import UTF_8, read_charset
from delivery.intake.errors import body_fault
from delivery.intake.forms import read_multipart, read_urlencoded
from delivery.intake.strict_json import read_object

BODY_LIMIT_BYTES = 1024 * 1024

_JSON = "application/json"
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
ENCODINGS = (_JSON, _URLENCODED, _MULTIPART)


def refuse_declared_length(request: Request) -> None:
    """Refuse a body whose Content-Length is too large, before any of it is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > BODY_LIMIT_BYTES:
        raise _too_large()


async def read_body(request: Request, limit_bytes: int = BODY_LIMIT_BYTES) -> bytes:
    """Read a body of any type. Raises `ApiError` (413)."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise _too_large()
    return bytes(body)


async def read_fields(request: Request) -> Mapping[str, object]:
    """Read the fields of a JSON object or of a form.

    Raises `ApiError` (413, 415) or `InvalidInput`.
    """
    media_type = _media_type(request)
    body = await read_body(request)
    content_type = request.headers["content-type"].encode("latin-1")
    if media_type == _MULTIPART:
        return read_multipart(body, content_type)
    _, options = parse_options_header(content_type)
    charset = options.get(b"charset")
    if media_type == _URLENCODED:
        return read_urlencoded(body, charset)
    if read_charset(charset) != UTF_8:
        raise body_fault("invalid_encoding", "JSON is sent in UTF-8, and the Content-Type names another charset.")
    return read_object(body)


async def read_form(request: Request) -> Mapping[str, object]:
    """Read the fields of a form, where JSON is not accepted. Raises as `read_fields` does."""
    if _media_type(request) == _JSON:
        raise _unsupported(f"Send the form as {_URLENCODED} or {_MULTIPART}.")
    return await read_fields(request)


def _media_type(request: Request) -> str:
    types = request.headers.getlist("content-type")
    media_type = types[0].partition(";")[0].strip().lower() if len(types) == 1 else ""
    if media_type not in ENCODINGS:
        raise _unsupported()
    if "content-encoding" in request.headers:
        raise _unsupported("Send the body as it is, without a Content-Encoding.")
    return media_type


def _too_large() -> ApiError:
    return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "The body is larger than 1 MiB. Send less text.")


def _unsupported(
    description: str = f"Set Content-Type to what the body is: {_JSON}, {_URLENCODED} or {_MULTIPART}.",
) -> ApiError:
    return ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", description)
