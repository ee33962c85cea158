"""Read an account's in-app inbox."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api_stub import openapi
from api_stub.authentication import AuthenticatedClient, require_scope
from api_stub.requests import etags
from api_stub.requests.pagination import read_page
from api_stub.requests.query import Parameters
from api_stub.schemas.messages import Inbox, build_inbox
from api_stub.server.errors import not_found
from api_stub.services import services_of
from delivery.intake.uuids import read_uuid
from delivery.records.views import inbox
from delivery.vocabulary import Scope

router = APIRouter(tags=["accounts"])

_BIGINT = re.compile(r"[0-9]{1,18}", re.ASCII)


@router.get(
    "/accounts/{account_uuid}/inbox",
    response_model=Inbox,
    responses={**openapi.UNCHANGED, **openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND)},
    openapi_extra={
        "security": openapi.guarded_by(Scope.INBOX_READ),
        "parameters": [openapi.IF_NONE_MATCH, *openapi.PAGE],
    },
)
async def read(
    request: Request,
    account_uuid: str,
    client: Annotated[AuthenticatedClient, Depends(require_scope(Scope.INBOX_READ))],
) -> Response:
    """Read an inbox, newest message first, a page at a time."""
    account_id = read_uuid(account_uuid)
    if account_id is None:
        raise not_found()
    parameters = Parameters(request)
    page = read_page(parameters, _read_entry_id)
    parameters.refuse_faults()
    entries = await services_of(request).databases.reading.run_in_turn(
        client.client_id, inbox.inbox, account_id, limit=page.rows, before=page.before
    )
    if entries is None:
        raise not_found()
    return etags.respond_unless_unchanged(request, build_inbox(entries, page).model_dump_json(exclude_unset=True))


def _read_entry_id(text: str) -> int | None:
    return int(text) if _BIGINT.fullmatch(text) else None
