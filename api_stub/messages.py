"""Asking what became of messages: of one, or of all of a client's."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api_stub import etags, openapi
from api_stub.answers import Listed, Read, answer_listed, answer_read
from api_stub.callers import Caller, may
from api_stub.errors import Refusal, not_found
from api_stub.front import front_of
from api_stub.paging import read_page
from api_stub.parameters import Parameters
from delivery.intake.errors import Fault
from delivery.intake.timestamps import read_instant
from delivery.intake.uuids import read_uuid
from delivery.records.pipeline import refused_sends
from delivery.records.pipeline.refused_sends import RefusedView
from delivery.records.views import message_list, messages
from delivery.records.views.message_list import MessageFilter
from delivery.vocabulary import Scope, Status

router = APIRouter(tags=["messages"])


@router.get(
    "/messages",
    response_model=Listed,
    responses={**openapi.UNCHANGED, **openapi.errors(*openapi.GUARDED)},
    openapi_extra={
        "security": openapi.guarded_by(Scope.MESSAGE_READ),
        "parameters": [
            openapi.IF_NONE_MATCH,
            *openapi.PAGE,
            openapi.query("status", "Only messages of this status.", type="string", enum=list(Status)),
            openapi.query(
                "since", "Only messages accepted at or after this instant.", type="string", format="date-time"
            ),
        ],
    },
)
async def list_messages(request: Request, caller: Annotated[Caller, Depends(may(Scope.MESSAGE_READ))]) -> Response:
    """List your own messages, newest first, a page at a time."""
    parameters = Parameters(request)
    page = read_page(parameters, read_uuid)
    status = parameters.read("status", _read_status, f"one of {', '.join(Status)}")
    since = parameters.read("since", read_instant, "an RFC 3339 instant (with + written as %2B)")
    parameters.refuse_faults()
    wanted = MessageFilter(caller.client_id, status, since)
    found = await front_of(request).archive.ask(message_list.messages, wanted, limit=page.rows, before=page.before)
    return etags.answer_unless_known(request, answer_listed(found, page).model_dump_json(exclude_unset=True))


@router.get(
    "/messages/{message_uuid}",
    response_model=Read,
    responses={**openapi.UNCHANGED, **openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND)},
    openapi_extra={"security": openapi.guarded_by(Scope.MESSAGE_READ), "parameters": [openapi.IF_NONE_MATCH]},
)
async def read(
    request: Request, message_uuid: str, caller: Annotated[Caller, Depends(may(Scope.MESSAGE_READ))]
) -> Response:
    """Read a message of your own, with where each recipient stands and why."""
    message_id = read_uuid(message_uuid)
    if message_id is None:
        raise not_found()
    archive = front_of(request).archive
    view = await archive.ask(messages.message, message_id, client_id=caller.client_id)
    if view is None:
        raise _missing(await archive.ask(refused_sends.find, message_id, caller.client_id))
    return etags.answer_unless_known(request, answer_read(view).model_dump_json(exclude_unset=True))


def _missing(view: RefusedView | None) -> Refusal:
    """Say that there is no such message; to the sender of a direct send that was refused, also why."""
    if view is None:
        return not_found()
    description = "This direct send was refused; nothing of it was stored. Mend it and send it with a new message_uuid."
    faults = [Fault(fault["field"], fault["code"], fault["message"]) for fault in view.faults]
    return Refusal(HTTPStatus.NOT_FOUND, "send_refused", description, faults=faults)


def _read_status(text: str) -> Status | None:
    return Status(text) if text in set(Status) else None
