"""Reading a request's body: bounded in size, JSON, and an object."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request

from api_stub.errors import Refusal
from delivery.intake.faults import Fault, Unacceptable

BODY_LIMIT_BYTES = 1024 * 1024


async def read_fields(request: Request) -> Mapping[str, object]:
    """Read the fields of a JSON body.

    Raises `Refusal` (413, 415) or `Unacceptable`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        description = "Send the message as application/json."
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", description)
    try:
        fields = json.loads(await _read(request))
    except (ValueError, RecursionError) as error:
        raise Unacceptable([Fault("", "invalid_json", "The body is not valid JSON.")]) from error
    if not isinstance(fields, dict):
        raise Unacceptable([Fault("", "not_an_object", "The body must be one JSON object.")])
    return fields


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            description = "The body is larger than 1 MiB. Send less text."
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", description)
    return bytes(body)
