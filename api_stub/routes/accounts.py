"""Accounts, as their platform describes them, and their holders' preferences."""

from datetime import time
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api_stub import openapi
from api_stub.authentication import AuthenticatedClient, require_scope
from api_stub.requests.body import read_fields
from api_stub.schemas.accounts import (
    AccountData,
    AccountDetail,
    PreferencesData,
    PreferencesDetail,
    QuietHoursData,
)
from api_stub.server.errors import not_found
from api_stub.services import services_of
from delivery.intake.accounts import ACCOUNT, PREFERENCES, Preferences, parse_account, parse_preferences
from delivery.intake.uuids import read_uuid
from delivery.logs.security import write_line
from delivery.records.identities import accounts
from delivery.records.identities.accounts import AccountFacts
from delivery.records.identities.address_changes import Author, replace_account
from delivery.vocabulary import Scope, SecurityEventKind, SenderRule

router = APIRouter(tags=["accounts"])

Reader = Annotated[AuthenticatedClient, Depends(require_scope(Scope.ACCOUNT_READ))]
Writer = Annotated[AuthenticatedClient, Depends(require_scope(Scope.ACCOUNT_WRITE))]

_JSON = "application/json"
_READ = {"security": openapi.guarded_by(Scope.ACCOUNT_READ)}
_WRITE = {"security": openapi.guarded_by(Scope.ACCOUNT_WRITE)}
_READ_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND)
_PUT_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


@router.get("/accounts/{account_uuid}", responses=_READ_ERRORS, openapi_extra=_READ)
async def read(request: Request, account_uuid: str, client: Reader) -> AccountDetail:
    """Read an account."""
    return AccountDetail(data=_build_account(await _find(request, client, _read_id(account_uuid))))


@router.put(
    "/accounts/{account_uuid}",
    openapi_extra={**_WRITE, "requestBody": openapi.body_of(ACCOUNT, _JSON)},
    responses={**_PUT_ERRORS, 201: {"model": AccountDetail, "description": "The account was created."}},
)
async def put(request: Request, response: Response, account_uuid: str, client: Writer) -> AccountDetail:
    """Create an account, or replace it. Its holder's preferences stay as they are."""
    account_id = _read_id(account_uuid)
    draft = parse_account(await read_fields(request))
    services, client_id = services_of(request), client.client_id
    author = Author(f"client {client_id}", services.settings.pepper, client_id)
    replaced = await services.databases.changing.run_in_turn(client_id, replace_account, account_id, draft, author)
    if replaced.is_new:
        response.status_code = HTTPStatus.CREATED
    if replaced.is_address_changed:
        write_line(SecurityEventKind.ADDRESS_CHANGED, account_id=str(account_id), client_id=str(client_id))
    facts = AccountFacts(account_id, draft.name, draft.email, draft.status, draft.time_zone)
    return AccountDetail(data=_build_account(facts))


@router.get("/accounts/{account_uuid}/preferences", responses=_READ_ERRORS, openapi_extra=_READ)
async def read_preferences(request: Request, account_uuid: str, client: Reader) -> PreferencesDetail:
    """Read an account holder's preferences; the defaults where none are stored."""
    return PreferencesDetail(data=_build_preferences(await _find(request, client, _read_id(account_uuid))))


@router.put(
    "/accounts/{account_uuid}/preferences",
    responses=_PUT_ERRORS,
    openapi_extra={**_WRITE, "requestBody": openapi.body_of(PREFERENCES, _JSON)},
)
async def put_preferences(request: Request, account_uuid: str, client: Writer) -> PreferencesDetail:
    """Replace all preferences of an account holder: an absent field returns to its default."""
    account_id = _read_id(account_uuid)
    fields = await read_fields(request)
    preferences = parse_preferences(fields)
    named = PREFERENCES.given(fields)
    changing = services_of(request).databases.changing
    if not await changing.run_in_turn(client.client_id, accounts.put_preferences, {account_id: preferences}, named):
        raise not_found()
    return PreferencesDetail(data=_build_preferences(preferences))


def _read_id(account_uuid: str) -> UUID:
    account_id = read_uuid(account_uuid)
    if account_id is None:
        raise not_found()
    return account_id


async def _find(request: Request, client: AuthenticatedClient, account_id: UUID) -> AccountFacts:
    reading = services_of(request).databases.reading
    facts = await reading.run_in_turn(client.client_id, accounts.find_one, account_id)
    if facts is None:
        raise not_found()
    return facts


def _build_account(facts: AccountFacts) -> AccountData:
    return AccountData(
        uuid=facts.account_id, name=facts.name, email=facts.email, status=facts.status, time_zone=facts.time_zone
    )


def _build_preferences(preferences: Preferences) -> PreferencesData:
    senders = list(preferences.senders)
    hours = preferences.quiet_hours
    return PreferencesData(
        channel=preferences.channel,
        closed=preferences.is_closed,
        accepted_types=None if preferences.accepted_types is None else list(preferences.accepted_types),
        allowed_senders=senders if preferences.sender_rule is SenderRule.ALLOW else None,
        blocked_senders=senders if preferences.sender_rule is SenderRule.BLOCK else None,
        muted_until=preferences.muted_until,
        quiet_hours=None if hours is None else _build_hours(hours),
    )


def _build_hours(hours: tuple[time, time]) -> QuietHoursData:
    return QuietHoursData(begin=f"{hours[0]:%H:%M}", until=f"{hours[1]:%H:%M}")
