"""Read vetting cases and the standing decisions in force, for credentials that may decide them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api_stub import openapi
from api_stub.authentication import AuthenticatedClient, require_scope
from api_stub.requests.pagination import read_page
from api_stub.requests.query import Parameters
from api_stub.schemas.cases import CaseDetail, CaseList, StandingList, build_case, build_cases, build_standing
from api_stub.server.errors import not_found
from api_stub.services import services_of
from delivery.intake.fields import has_forbidden
from delivery.intake.uuids import read_uuid
from delivery.records.database import transaction
from delivery.records.pipeline import vetting_cases
from delivery.records.vetting import audit, case_work, decisions, standing
from delivery.records.views import case_list
from delivery.records.views.case_list import CaseFilter
from delivery.records.views.desk import case_page
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.vocabulary import Scope
from tasks.context import StepContext

router = APIRouter(tags=["vetting"])

Decider = Annotated[AuthenticatedClient, Depends(require_scope(Scope.VETTING_DECIDE))]
GUARD = {"security": openapi.guarded_by(Scope.VETTING_DECIDE)}
_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND)
_TEXT_LIMIT = 255
_THREADS = 2

Result = TypeVar("Result")


@cache
def _deciders() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="vetting")


async def run_step(request: Request, step: Callable[[StepContext], Result]) -> Result:
    """Run a step with the connections of the desk, on one of two threads, so that the desk keeps a connection."""
    context = services_of(request).desk.context
    return await asyncio.get_running_loop().run_in_executor(_deciders(), step, context)


@router.get(
    "/vetting/cases",
    responses=openapi.errors(*openapi.GUARDED),
    openapi_extra={
        **GUARD,
        "parameters": [
            openapi.query("rule", "Only cases that this live rule hit.", type="string"),
            openapi.query("sender", "Only of this sender: an address, or the id of an account.", type="string"),
            openapi.query("text", "Only with this text in subject or body, in any case of letters.", type="string"),
            openapi.query("overdue", "Only cases that staff should have decided, or only others.", type="boolean"),
            *openapi.PAGE,
        ],
    },
)
async def list_cases(request: Request, client: Decider) -> CaseList:
    """List the cases that wait, oldest first, without the texts of their messages."""
    parameters = Parameters(request)
    page = read_page(parameters, read_uuid)
    words = {name: parameters.read(name, _read_text, "a text") for name in ("rule", "sender", "text")}
    overdue = parameters.read("overdue", {"true": 1, "false": 0}.get, "true or false")
    parameters.refuse_faults()
    wanted = CaseFilter(words["rule"], words["sender"], words["text"], None if overdue is None else bool(overdue))
    reading = services_of(request).databases.reading
    found = await reading.run_in_turn(
        client.client_id, case_list.open_cases, wanted, limit=page.rows, after=page.before
    )
    return build_cases(found, page)


@router.get("/vetting/cases/{case_uuid}", responses=_ERRORS, openapi_extra=GUARD)
async def read_case(request: Request, response: Response, case_uuid: str, client: Decider) -> CaseDetail:
    """Read a case with the text of its message. The audit records who read it. The ETag is for If-Match."""
    found = await run_step(request, partial(_read, case_id=read_case_id(case_uuid), client=client))
    response.headers["ETag"] = f'"{found.data.version}"'
    response.headers["Cache-Control"] = "no-store"
    return found


@router.get("/vetting/standing-decisions", responses=openapi.errors(*openapi.GUARDED), openapi_extra=GUARD)
async def list_standing(request: Request, client: Decider) -> StandingList:
    """List the newest hundred standing decisions in force, newest first."""
    reading = services_of(request).databases.reading
    return build_standing(await reading.run_in_turn(client.client_id, standing.standing_decisions))


def read_case_id(text: str) -> UUID:
    """Return the id in a path. Raises `ApiError` (404) for what is none."""
    found = read_uuid(text)
    if found is None:
        raise not_found()
    return found


def _read(context: StepContext, *, case_id: UUID, client: AuthenticatedClient) -> CaseDetail:
    with transaction(context.database) as db:
        case = vetting_cases.find(db, case_id)
        if case is None:
            raise not_found()
        recipients = case_page.recipients(db, case.message_id)
        found = build_case(case, recipients, decisions.of_case(db, case_id), case_work.notes(db, case_id))
        entry = AuditEntry(AuditKind.BODY_READ, str(client.client_id), (str(case_id),))
        audit.append(db, context.settings.audit_key, entry)
    return found


def _read_text(text: str) -> str | None:
    is_good = 0 < len(text) <= _TEXT_LIMIT and not has_forbidden(text, is_body=True)
    return text if is_good else None
