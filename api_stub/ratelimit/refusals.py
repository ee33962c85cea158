"""Count refusals of requests whose client is not known, by the address they came from."""

from http import HTTPStatus

from fastapi import Request

from api_stub.ratelimit.limiter import Limiter
from delivery.credentials import parse_credential

# What the client got wrong. Overload and outages are not its fault, and 429 was counted before.
_COUNTED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.GONE,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    }
)


async def count_refusal(limiter: Limiter, request: Request, status: int, presented: str = "") -> None:
    """Count a refusal before its response is sent. Raises `ApiError` (429) for one too many.

    Of what was `presented` as a credential, the security log gets the public prefix, if it has one.
    """
    if status in _COUNTED:
        parts = parse_credential(presented)
        prefix = {"credential": parts[0]} if parts else {}
        await limiter.count_refused_credential(address_of(request), status=int(status), **prefix)


def address_of(request: Request) -> str:
    """Return the address of the client; empty for a socket without addresses."""
    return request.client.host if request.client else ""
