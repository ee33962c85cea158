"""Sending a message, and asking what became of it."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from uuid_utils.compat import uuid7

from api_stub.answers import Read, Sent, answer_read, answer_sent
from api_stub.bodies import read_fields
from api_stub.callers import Caller, may
from api_stub.errors import not_found
from api_stub.front import front_of
from api_stub.prefer import read_wait
from delivery.intake.draft import Draft, given_recipients, read_draft, unknown_recipient
from delivery.intake.faults import Fault, Unacceptable
from delivery.intake.ids import read_uuid
from delivery.records import reading
from delivery.records.accepting import Arrival
from delivery.records.reading import Progress
from delivery.rules.status import Standing
from delivery.vocabulary import QueueName, Scope, State, StepName

router = APIRouter(tags=["messages"])


@router.post("/messages", status_code=HTTPStatus.CREATED, response_model_exclude_unset=True)
async def send(
    request: Request, response: Response, caller: Annotated[Caller, Depends(may(Scope.MESSAGE_SEND))]
) -> Sent:
    """Send one message to up to 25 accounts. The answer waits up to two seconds for the verdict (`Prefer: wait=N`)."""
    front = front_of(request)
    fields = await read_fields(request)
    draft = read_draft(fields)
    message_id = uuid7()
    strangers = await front.registrar.accept(Arrival(message_id, caller.client_id, draft))
    if strangers:  # Nothing is stored then.
        raise Unacceptable(_name(strangers, given_recipients(fields)))
    front.doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [message_id])
    wait_s = read_wait(request.headers.getlist("prefer"), front.settings.verdict_wait_s)
    progress = await front.lookout.wait(message_id, wait_s) or await front.lookout.look(message_id)
    response.headers["Location"] = f"{request.url.path}/{message_id}"
    return answer_sent(message_id, progress or _just_accepted(draft))


@router.get("/messages/{message_uuid}", response_model_exclude_unset=True)
async def read(
    request: Request, message_uuid: str, caller: Annotated[Caller, Depends(may(Scope.MESSAGE_READ))]
) -> Read:
    """Read a message of your own, with where each recipient stands and why."""
    message_id = read_uuid(message_uuid)
    if message_id is None:
        raise not_found()
    view = await front_of(request).archive.ask(reading.message, message_id, client_id=caller.client_id)
    if view is None:
        raise not_found()
    return answer_read(view)


def _name(strangers: set[UUID], given: list[UUID]) -> list[Fault]:
    """Name every place of the request in which a stranger was given."""
    return [unknown_recipient(index) for index, account_id in enumerate(given) if account_id in strangers]


def _just_accepted(draft: Draft) -> Progress:
    """Say what is known of a stored message when the database cannot be asked any more: it is stored."""
    return Progress(tuple(Standing(account_id, State.ACCEPTED) for account_id in draft.recipient_ids), None)
