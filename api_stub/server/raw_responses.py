"""Errors of a connection that is no request of an application: written straight to the socket."""

import json
from http import HTTPStatus

from uuid_utils.compat import uuid7


def write_error(
    status: HTTPStatus, error: str, description: str, *, request_id: str | None = None, retry_after_s: int = 0
) -> bytes:
    """Return a whole response with an error in our form. The connection closes after it."""
    request_id = request_id or str(uuid7())
    content = {
        "success": 0,
        "error": error,
        "error_description": description,
        "error_messages": [description],
        "request_id": request_id,
    }
    body = json.dumps(content).encode()
    retry = f"retry-after: {retry_after_s}\r\n" if retry_after_s else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-content-type-options: nosniff\r\n{retry}"
        f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
