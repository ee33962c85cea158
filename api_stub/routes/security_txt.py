"""`/.well-known/security.txt` (RFC 9116): where to report a vulnerability, if a setting names a contact."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse

from api_stub.server.errors import not_found
from api_stub.services import services_of

router = APIRouter(include_in_schema=False)

# RFC 9116 2.5.5 recommends less than a year. It moves with each day, so that it never ends while the API runs.
_VALID_FOR = timedelta(days=180)


@router.get("/.well-known/security.txt")
async def security_txt(request: Request) -> PlainTextResponse:
    """Return the contact of `POSTROOM_SECURITY_CONTACT`, or 404 without that setting."""
    contact = services_of(request).settings.security_contact
    if not contact:
        raise not_found()
    expires = (datetime.now(UTC) + _VALID_FOR).replace(hour=0, minute=0, second=0, microsecond=0)
    return PlainTextResponse(f"Contact: {contact}\nExpires: {expires:%Y-%m-%dT%H:%M:%SZ}\nPreferred-Languages: en\n")
