"""Reading an account's in-app inbox."""

import base64
import binascii
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api_stub.answers import Inbox, answer_inbox
from api_stub.callers import Caller, may
from api_stub.errors import not_found
from api_stub.front import front_of
from delivery.intake.faults import Fault, Unacceptable
from delivery.intake.ids import read_uuid
from delivery.records import reading
from delivery.records.reading import InboxView
from delivery.vocabulary import Scope

router = APIRouter(tags=["accounts"])


@router.get("/accounts/{account_uuid}/inbox", response_model_exclude_unset=True)
async def read(
    request: Request,
    account_uuid: str,
    caller: Annotated[Caller, Depends(may(Scope.INBOX_READ))],  # noqa: ARG001 - only its scope matters here
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> Inbox:
    """Read an inbox, newest letter first, a page at a time."""
    account_id = read_uuid(account_uuid)
    before = _read_cursor(cursor) if cursor is not None else None
    if account_id is None:
        raise not_found()
    # One letter more than asked for tells whether there is another page.
    letters = await front_of(request).archive.ask(reading.inbox, account_id, limit=limit + 1, before=before)
    if letters is None:
        raise not_found()
    return answer_inbox(letters[:limit], _write_cursor(letters[limit - 1]) if len(letters) > limit else None)


def _write_cursor(letter: InboxView) -> str:
    return base64.urlsafe_b64encode(f"{letter.delivered_at.isoformat()} {letter.recipient_id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, int]:
    try:
        at, _, recipient_id = base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii").partition(" ")
        place = datetime.fromisoformat(at), int(recipient_id)
    except (ValueError, binascii.Error):
        place = None
    if place is None or place[0].tzinfo is None:
        message = "cursor is not one that this API has given. Use meta.next_cursor as it was given."
        raise Unacceptable([Fault("cursor", "invalid_value", message)])
    return place
