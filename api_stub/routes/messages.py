"""Send a message, read one, and list the messages of a client."""

from collections.abc import Collection, Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, NoReturn
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from uuid_utils.compat import uuid7

from api_stub import openapi
from api_stub.authentication import AuthenticatedClient, require_scope
from api_stub.requests import etags
from api_stub.requests.body import ENCODINGS, read_fields
from api_stub.requests.idempotency import HEADER as KEY_HEADER
from api_stub.requests.idempotency import read_key
from api_stub.requests.pagination import read_page
from api_stub.requests.prefer import read_wait
from api_stub.requests.query import Parameters
from api_stub.schemas.dry_runs import build_dry_run
from api_stub.schemas.messages import (
    MessageCreated,
    MessageDetail,
    MessageList,
    RefusedSendDetail,
    build_created,
    build_detail,
    build_list,
    build_refused,
)
from api_stub.server.errors import ApiError, not_found
from api_stub.services import Services, services_of
from delivery.crash_points import CrashPoint, crash_here
from delivery.intake.errors import InvalidInput
from delivery.intake.messages import (
    MESSAGE,
    Draft,
    faults_of_unknown,
    given_recipients,
    ignored_fields,
    read_draft,
)
from delivery.intake.timestamps import read_instant
from delivery.intake.uuids import read_uuid
from delivery.records.database import LockTimeout
from delivery.records.pipeline import refused_sends
from delivery.records.pipeline.accept import Acceptance, Duplicate, IncomingMessage, Stored, UnknownRecipients
from delivery.records.views import message_list, messages
from delivery.records.views.dry_runs import foresee
from delivery.records.views.message_list import MessageFilter
from delivery.records.views.messages import Progress
from delivery.rules.status import RecipientStatus
from delivery.vocabulary import QueueName, Scope, State, Status, StepName

router = APIRouter(tags=["messages"])

_KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}


@router.post(
    "/messages",
    status_code=HTTPStatus.CREATED,
    response_model=MessageCreated,
    responses={
        HTTPStatus.CREATED.value: openapi.CREATED,
        **openapi.errors(
            *openapi.GUARDED,
            HTTPStatus.CONFLICT,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ),
    },
    openapi_extra={
        "security": openapi.guarded_by(Scope.MESSAGE_SEND),
        "requestBody": openapi.body_of(MESSAGE, *ENCODINGS),
        "parameters": [
            openapi.header(KEY_HEADER, "Makes it safe to repeat this request.", **_KEY_SCHEMA),
            openapi.query(
                "dry_run",
                "`true`: store nothing, and answer 200 with what would become of each recipient.",
                type="boolean",
            ),
            openapi.header("Prefer", "`wait=N` seconds for the verdict, or `respond-async` (RFC 7240).", type="string"),
        ],
    },
)
async def send(
    request: Request, client: Annotated[AuthenticatedClient, Depends(require_scope(Scope.MESSAGE_SEND))]
) -> Response:
    """Send one message to up to 25 accounts. It waits up to two seconds for the verdict, or `Prefer: wait=N`."""
    services = services_of(request)
    fields = await read_fields(request)
    draft, ignored = read_draft(fields), ignored_fields(fields)
    if _is_dry_run(request):
        return await _answer_dry_run(services, client, fields, draft, ignored)
    crash_here(CrashPoint.REQUEST_PARSED)
    incoming = IncomingMessage(uuid7(), client.client_id, draft, read_key(request.headers.getlist(KEY_HEADER)))
    await _check_limits(services, client, draft)
    acceptance = await _accept(services, incoming)
    if isinstance(acceptance, UnknownRecipients):
        await _refuse_unknown(services, client, fields, draft, acceptance.account_ids)
    message_id = _ring_or_reject(services, incoming, acceptance)
    is_replayed = isinstance(acceptance, Duplicate)
    wait_s = read_wait(request.headers.getlist("prefer"), services.settings.verdict_wait_s)
    known = None if is_replayed else _just_accepted(draft)
    progress = await _await_verdict(services, message_id, wait_s, known)
    crash_here(CrashPoint.ANSWER_UNSENT)
    answer = build_created(message_id, progress, ignored)
    return _created(answer, f"{request.url.path}/{message_id}", is_replayed=is_replayed)


def _is_dry_run(request: Request) -> bool:
    """Return whether the client only asks what would happen. Raises `InvalidInput` for another value than a boolean."""
    if not request.scope["query_string"]:
        return False
    parameters = Parameters(request)
    wanted = parameters.read("dry_run", {"true": "true", "false": "false"}.get, "true or false")
    parameters.refuse_faults()
    return wanted == "true"


async def _answer_dry_run(
    services: Services,
    client: AuthenticatedClient,
    fields: Mapping[str, object],
    draft: Draft,
    ignored: list[str],
) -> Response:
    """Make all checks of a message and answer what would become of it. Nothing is stored; the limits count."""
    await _check_limits(services, client, draft)
    foreseen = await services.databases.reading.run_in_turn(
        client.client_id, foresee, draft, client.client_id, services.settings
    )
    if foreseen.unknown_ids:
        await _refuse_unknown(services, client, fields, draft, foreseen.unknown_ids)
    answer = build_dry_run(foreseen.recipients, ignored)
    return Response(answer.model_dump_json(exclude_unset=True), HTTPStatus.OK, media_type="application/json")


async def _check_limits(services: Services, client: AuthenticatedClient, draft: Draft) -> None:
    await services.limiter.check_recipients(client.client_id, client.recipients_per_minute, len(draft.recipient_ids))
    are_contacts = partial(services.contact_book.are_contacts, client.client_id, draft.recipient_ids)
    await services.limiter.check_lookups(client.client_id, are_contacts)


async def _refuse_unknown(
    services: Services,
    client: AuthenticatedClient,
    fields: Mapping[str, object],
    draft: Draft,
    unknown_ids: Collection[UUID],
) -> NoReturn:
    """Raise `InvalidInput` that names the unknown accounts, or `ApiError` (429) for too many of them."""
    await services.limiter.count_unknown_recipients(client.client_id, len(unknown_ids))
    raise InvalidInput(faults_of_unknown(draft, given_recipients(fields), unknown_ids))


async def _accept(services: Services, incoming: IncomingMessage) -> Acceptance:
    try:
        return await services.accept_batcher.accept(incoming)
    except LockTimeout as error:
        description = "A request with this Idempotency-Key is still being stored. Send the same again in a second."
        headers = {"Retry-After": "1"}
        raise ApiError(HTTPStatus.CONFLICT, "request_in_progress", description, headers=headers) from error


def _ring_or_reject(services: Services, incoming: IncomingMessage, acceptance: Stored | Duplicate) -> UUID:
    """Ring for a newly stored message, and return the id of the message that the answer is about.

    Raises `ApiError` (422) for a key that was used for another message.
    """
    if isinstance(acceptance, Stored):
        # Only these were looked up: the recipients of a repetition are not checked.
        services.contact_book.record(incoming.client_id, incoming.draft.recipient_ids)
        crash_here(CrashPoint.ACCEPT_BEFORE_BELL)
        services.doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [incoming.message_id])
        crash_here(CrashPoint.ACCEPT_RUNG)
        return incoming.message_id
    if not acceptance.is_identical:
        description = f"This {KEY_HEADER} was used before, for another message. Take a new key for a new message."
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused", description)
    return acceptance.message_id


async def _await_verdict(services: Services, message_id: UUID, wait_s: float, known: Progress | None) -> Progress:
    """Wait for the verdict. After the wait, return the current progress, or `known` if it cannot be read.

    Raises `TimeoutError` if the progress is neither known nor readable.
    """
    progress = await services.verdict_waiter.wait(message_id, wait_s)
    if progress is None and (wait_s > 0 or known is None):
        progress = await services.verdict_waiter.read_now(message_id)
    current = progress or known
    if current is None:
        raise TimeoutError("the current status of a repeated message cannot be read")
    return current


def _created(answer: MessageCreated, location: str, *, is_replayed: bool) -> Response:
    headers = {"Location": location, **({"Idempotency-Replayed": "true"} if is_replayed else {})}
    body = answer.model_dump_json(exclude_unset=True)
    return Response(body, HTTPStatus.CREATED, headers, media_type="application/json")


def _just_accepted(draft: Draft) -> Progress:
    """Return the progress of a message that was just stored, without reading it from the database."""
    return Progress(tuple(RecipientStatus(account_id, State.ACCEPTED) for account_id in draft.recipient_ids), None)


@router.get(
    "/messages",
    response_model=MessageList,
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
            openapi.query("message_vetting_id", "Only the message of this review.", type="string", format="uuid"),
        ],
    },
)
async def list_messages(
    request: Request, client: Annotated[AuthenticatedClient, Depends(require_scope(Scope.MESSAGE_READ))]
) -> Response:
    """List your own messages, newest first, a page at a time."""
    parameters = Parameters(request)
    page = read_page(parameters, read_uuid)
    status = parameters.read("status", _read_status, f"one of {', '.join(Status)}")
    since = parameters.read("since", read_instant, "an RFC 3339 instant (with + written as %2B)")
    vetting_id = parameters.read("message_vetting_id", read_uuid, "the UUID of a review")
    parameters.refuse_faults()
    condition = MessageFilter(client.client_id, status, since, vetting_id)
    found = await services_of(request).databases.reading.run_in_turn(
        client.client_id, message_list.messages, condition, limit=page.rows, before=page.before
    )
    return etags.respond_unless_unchanged(request, build_list(found, page).model_dump_json(exclude_unset=True))


@router.get(
    "/messages/{message_uuid}",
    response_model=MessageDetail | RefusedSendDetail,
    responses={**openapi.UNCHANGED, **openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND)},
    openapi_extra={"security": openapi.guarded_by(Scope.MESSAGE_READ), "parameters": [openapi.IF_NONE_MATCH]},
)
async def read(
    request: Request,
    message_uuid: str,
    client: Annotated[AuthenticatedClient, Depends(require_scope(Scope.MESSAGE_READ))],
) -> Response:
    """Read one of your own messages: the state of each recipient with its reason, or why a direct send was refused."""
    message_id = read_uuid(message_uuid)
    if message_id is None:
        raise not_found()
    reading = services_of(request).databases.reading
    view = await reading.run_in_turn(client.client_id, messages.message, message_id, client_id=client.client_id)
    if view is not None:
        return etags.respond_unless_unchanged(request, build_detail(view).model_dump_json(exclude_unset=True))
    refused = await reading.run_in_turn(client.client_id, refused_sends.find, message_id, client.client_id)
    if refused is None:
        raise not_found()
    answer = build_refused(message_id, refused.faults)
    return etags.respond_unless_unchanged(request, answer.model_dump_json(exclude_unset=True))


def _read_status(text: str) -> Status | None:
    return Status(text) if text in set(Status) else None
