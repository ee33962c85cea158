"""Refuse what never becomes a request of the application: log it with an id, and count it against its address."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from uuid_utils.compat import uuid7

from api_stub.server.raw_responses import write_error
from api_stub.server.refusal_log import log_raw_refusal

COUNT = "postroom.count_malformed"
"""Where the state of the lifespan has the function that counts a refusal of an address.

It takes the address and the status, and returns in how many seconds to try again; 0 while the address is in its limit.
"""

MALFORMED = "This is not a well-formed HTTP/1.1 request."
_CROWDED = "There are too many connections. Close some, and try again in a moment."
_TOO_OFTEN = "Too many malformed requests from this address. Try again in {} s."


def crowded_response() -> bytes:
    """Return the response for one connection too many, which `ConnectionLimits` has logged."""
    return write_error(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_connections", _CROWDED, retry_after_s=5)


def refuse_malformed(state: Mapping[str, Any], address: str, request_id: str | None = None) -> bytes:
    """Log and count what is no HTTP request; return its response: 400, or 429 after too many.

    Where only the body is malformed, the application may log the request too, by this `request_id`.
    """
    retry_after_s = _count(state, address, HTTPStatus.BAD_REQUEST)
    request_id = request_id or str(uuid7())
    if retry_after_s:
        log_raw_refusal(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", request_id)
        description = _TOO_OFTEN.format(retry_after_s)
        return write_error(
            HTTPStatus.TOO_MANY_REQUESTS,
            "rate_limited",
            description,
            request_id=request_id,
            retry_after_s=retry_after_s,
        )
    log_raw_refusal(HTTPStatus.BAD_REQUEST, "bad_request", request_id)
    return write_error(HTTPStatus.BAD_REQUEST, "bad_request", MALFORMED, request_id=request_id)


def note_timeout(state: Mapping[str, Any], address: str) -> None:
    """Log and count a request that did not arrive in time. Its connection closes without a response."""
    _count(state, address, HTTPStatus.REQUEST_TIMEOUT)
    log_raw_refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", str(uuid7()))


def _count(state: Mapping[str, Any], address: str, status: HTTPStatus) -> int:
    count: Callable[[str, int], int] | None = state.get(COUNT)
    return count(address, status) if count else 0
