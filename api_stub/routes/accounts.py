"""Accounts as their platform describes them, and what their holders want."""

from collections.abc import Mapping
from datetime import time
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api_stub import openapi
from api_stub.authentication import AuthenticatedClient, require_scope
from api_stub.requests.body import read_fields
from api_stub.schemas.accounts import (
    ACCOUNT_BODY,
    PREFERENCES_BODY,
    AccountData,
    AccountDetail,
    PreferencesData,
    PreferencesDetail,
    QuietHoursData,
)
from api_stub.server.errors import not_found
from api_stub.services import services_of
from delivery.intake.accounts import Preferences, parse_account, parse_preferences
from delivery.intake.uuids import read_uuid
from delivery.records.identities import accounts
from delivery.records.identities.accounts import AccountFacts
from delivery.vocabulary import Scope, SenderRule

router = APIRouter(tags=["accounts"])

Reader = Annotated[AuthenticatedClient, Depends(require_scope(Scope.ACCOUNT_READ))]
Writer = Annotated[AuthenticatedClient, Depends(require_scope(Scope.ACCOUNT_WRITE))]


def _documented(scope: Scope, schema: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Say in the OpenAPI document what a route asks for."""
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}} if schema else {}
    return {"security": openapi.guarded_by(scope), **body}


_READ_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND)
_PUT_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


@router.get("/accounts/{account_uuid}", responses=_READ_ERRORS, openapi_extra=_documented(Scope.ACCOUNT_READ))
async def read(request: Request, account_uuid: str, client: Reader) -> AccountDetail:  # noqa: ARG001 - only its scope matters
    """Read an account."""
    return AccountDetail(data=_account(await _find(request, _read_id(account_uuid))))


@router.put(
    "/accounts/{account_uuid}",
    openapi_extra=_documented(Scope.ACCOUNT_WRITE, ACCOUNT_BODY),
    responses={**_PUT_ERRORS, 201: {"model": AccountDetail, "description": "The account is new."}},
)
async def put(request: Request, response: Response, account_uuid: str, client: Writer) -> AccountDetail:  # noqa: ARG001 - only its scope matters
    """Create an account, or replace what is known of it. What its holder wants stays as it is."""
    account_id = _read_id(account_uuid)
    draft = parse_account(await read_fields(request))
    if await services_of(request).database.run(accounts.put_accounts, {account_id: draft}):
        response.status_code = HTTPStatus.CREATED
    facts = AccountFacts(account_id, draft.name, draft.email, draft.status, draft.time_zone)
    return AccountDetail(data=_account(facts))


@router.get(
    "/accounts/{account_uuid}/preferences", responses=_READ_ERRORS, openapi_extra=_documented(Scope.ACCOUNT_READ)
)
async def read_preferences(request: Request, account_uuid: str, client: Reader) -> PreferencesDetail:  # noqa: ARG001 - only its scope matters
    """Read what an account holder wants; the defaults where nothing was ever said."""
    return PreferencesDetail(data=_preferences(await _find(request, _read_id(account_uuid))))


@router.put(
    "/accounts/{account_uuid}/preferences",
    responses=_PUT_ERRORS,
    openapi_extra=_documented(Scope.ACCOUNT_WRITE, PREFERENCES_BODY),
)
async def put_preferences(request: Request, account_uuid: str, client: Writer) -> PreferencesDetail:  # noqa: ARG001 - only its scope matters
    """Replace what an account holder wants as a whole: an absent field goes back to its default."""
    account_id = _read_id(account_uuid)
    preferences = parse_preferences(await read_fields(request))
    if not await services_of(request).database.run(accounts.put_preferences, {account_id: preferences}):
        raise not_found()
    return PreferencesDetail(data=_preferences(preferences))


def _read_id(account_uuid: str) -> UUID:
    account_id = read_uuid(account_uuid)
    if account_id is None:
        raise not_found()
    return account_id


async def _find(request: Request, account_id: UUID) -> AccountFacts:
    facts = await services_of(request).database.run(accounts.find_one, account_id)
    if facts is None:
        raise not_found()
    return facts


def _account(facts: AccountFacts) -> AccountData:
    return AccountData(
        uuid=facts.account_id, name=facts.name, email=facts.email, status=facts.status, time_zone=facts.time_zone
    )


def _preferences(preferences: Preferences) -> PreferencesData:
    senders = list(preferences.senders)
    hours = preferences.quiet_hours
    return PreferencesData(
        channel=preferences.channel,
        closed=preferences.is_closed,
        accepted_types=None if preferences.accepted_types is None else list(preferences.accepted_types),
        allowed_senders=senders if preferences.sender_rule is SenderRule.ALLOW else None,
        blocked_senders=senders if preferences.sender_rule is SenderRule.BLOCK else None,
        muted_until=preferences.muted_until,
        quiet_hours=None if hours is None else _clocks(hours),
    )


def _clocks(hours: tuple[time, time]) -> QuietHoursData:
    return QuietHoursData(begin=f"{hours[0]:%H:%M}", until=f"{hours[1]:%H:%M}")
