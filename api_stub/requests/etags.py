"""Conditional requests (RFC 9110 13.1.2): a response with an entity tag, or 304 when the client has it already."""

import hashlib
from http import HTTPStatus

from fastapi import Request, Response

_JSON = "application/json"


def respond_unless_unchanged(request: Request, body: str) -> Response:
    """Return this JSON with its tag, or 304 when `If-None-Match` contains the tag."""
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type=_JSON, headers=headers)
