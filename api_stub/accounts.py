"""Accounts as their platform describes them, and what their holders want."""

from collections.abc import Mapping
from datetime import datetime, time
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api_stub import openapi
from api_stub.bodies import read_fields
from api_stub.callers import Caller, may
from api_stub.errors import not_found
from api_stub.front import front_of
from delivery.intake.accounts import NAME_LIMIT, SENDERS_LIMIT, Wishes, read_account, read_wishes
from delivery.intake.uuids import read_uuid
from delivery.records.identities import accounts
from delivery.records.identities.accounts import AccountFacts
from delivery.vocabulary import AccountStatus, Channel, MessageType, Scope, SenderRule

router = APIRouter(tags=["accounts"])

Reader = Annotated[Caller, Depends(may(Scope.ACCOUNT_READ))]
Writer = Annotated[Caller, Depends(may(Scope.ACCOUNT_WRITE))]

_CLOCK_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9]$"


class NoMeta(BaseModel):
    """Nothing beside the data."""


class AccountData(BaseModel):
    """An account."""

    uuid: UUID
    name: str
    email: str
    status: AccountStatus
    time_zone: str


class QuietHoursData(BaseModel):
    """From one time of day until before another, in the account's time zone; across midnight if need be."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    begin: str = Field(alias="from", pattern=_CLOCK_PATTERN)
    until: str = Field(pattern=_CLOCK_PATTERN)


class PreferencesData(BaseModel):
    """What an account holder wants."""

    channel: Channel
    closed: bool
    accepted_types: list[MessageType] | None
    allowed_senders: list[str] | None
    blocked_senders: list[str] | None
    muted_until: datetime | None
    quiet_hours: QuietHoursData | None


class AccountAnswer(BaseModel):
    """The answer about an account."""

    success: Literal[1] = 1
    meta: NoMeta = NoMeta()
    data: AccountData


class PreferencesAnswer(BaseModel):
    """The answer about preferences."""

    success: Literal[1] = 1
    meta: NoMeta = NoMeta()
    data: PreferencesData


_ACCOUNT_BODY = {
    "type": "object",
    "required": ["name", "email"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": NAME_LIMIT},
        "email": {"type": "string", "description": "One plain address."},
        "status": {"enum": [*AccountStatus, "", None], "default": "active"},
        "time_zone": {"type": ["string", "null"], "default": "UTC", "description": "An IANA name: Europe/Berlin."},
    },
}
_SENDERS = {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": SENDERS_LIMIT, "default": None}
_CLOCK = {"type": "string", "pattern": _CLOCK_PATTERN}
_PREFERENCES_BODY = {
    "type": "object",
    "properties": {
        "channel": {"enum": [*Channel, "", None], "default": "inbox", "description": "How messages come."},
        "closed": {"type": ["boolean", "null"], "default": False, "description": "Nobody may write."},
        "accepted_types": {
            "type": ["array", "null"],
            "items": {"enum": [*MessageType]},
            "default": None,
            "description": "Only messages of these types may come; null lets all come.",
        },
        "allowed_senders": {**_SENDERS, "description": "Only these may write: client UUIDs or sender addresses."},
        "blocked_senders": {**_SENDERS, "description": "Everybody but these may write. Not beside allowed_senders."},
        "muted_until": {
            "type": ["string", "null"],
            "format": "date-time",
            "default": None,
            "description": "Until then nobody may write; later messages come again.",
        },
        "quiet_hours": {
            "type": ["object", "null"],
            "required": ["from", "until"],
            "properties": {"from": _CLOCK, "until": _CLOCK},
            "default": None,
            "description": "Messages wait for the end of these hours, in the account's time zone.",
        },
    },
}


def _documented(scope: Scope, schema: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Say in the OpenAPI document what a route asks for."""
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}} if schema else {}
    return {"security": openapi.guarded_by(scope), **body}


_READ_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND)
_PUT_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


@router.get("/accounts/{account_uuid}", responses=_READ_ERRORS, openapi_extra=_documented(Scope.ACCOUNT_READ))
async def read(request: Request, account_uuid: str, caller: Reader) -> AccountAnswer:  # noqa: ARG001 - only its scope matters
    """Read an account."""
    return AccountAnswer(data=_account(await _find(request, _read_id(account_uuid))))


@router.put(
    "/accounts/{account_uuid}",
    openapi_extra=_documented(Scope.ACCOUNT_WRITE, _ACCOUNT_BODY),
    responses={**_PUT_ERRORS, 201: {"model": AccountAnswer, "description": "The account is new."}},
)
async def put(request: Request, response: Response, account_uuid: str, caller: Writer) -> AccountAnswer:  # noqa: ARG001 - only its scope matters
    """Create an account, or replace what is known of it. What its holder wants stays as it is."""
    account_id = _read_id(account_uuid)
    draft = read_account(await read_fields(request))
    if await front_of(request).archive.ask(accounts.put_accounts, {account_id: draft}):
        response.status_code = HTTPStatus.CREATED
    facts = AccountFacts(account_id, draft.name, draft.email, draft.status, draft.time_zone)
    return AccountAnswer(data=_account(facts))


@router.get(
    "/accounts/{account_uuid}/preferences", responses=_READ_ERRORS, openapi_extra=_documented(Scope.ACCOUNT_READ)
)
async def read_preferences(request: Request, account_uuid: str, caller: Reader) -> PreferencesAnswer:  # noqa: ARG001 - only its scope matters
    """Read what an account holder wants; the defaults where nothing was ever said."""
    return PreferencesAnswer(data=_preferences(await _find(request, _read_id(account_uuid))))


@router.put(
    "/accounts/{account_uuid}/preferences",
    responses=_PUT_ERRORS,
    openapi_extra=_documented(Scope.ACCOUNT_WRITE, _PREFERENCES_BODY),
)
async def put_preferences(request: Request, account_uuid: str, caller: Writer) -> PreferencesAnswer:  # noqa: ARG001 - only its scope matters
    """Replace what an account holder wants as a whole: an absent field goes back to its default."""
    account_id = _read_id(account_uuid)
    wishes = read_wishes(await read_fields(request))
    if not await front_of(request).archive.ask(accounts.put_wishes, {account_id: wishes}):
        raise not_found()
    return PreferencesAnswer(data=_preferences(wishes))


def _read_id(account_uuid: str) -> UUID:
    account_id = read_uuid(account_uuid)
    if account_id is None:
        raise not_found()
    return account_id


async def _find(request: Request, account_id: UUID) -> AccountFacts:
    facts = await front_of(request).archive.ask(accounts.find_one, account_id)
    if facts is None:
        raise not_found()
    return facts


def _account(facts: AccountFacts) -> AccountData:
    return AccountData(
        uuid=facts.account_id, name=facts.name, email=facts.email, status=facts.status, time_zone=facts.time_zone
    )


def _preferences(wishes: Wishes) -> PreferencesData:
    senders = list(wishes.senders)
    hours = wishes.quiet_hours
    return PreferencesData(
        channel=wishes.channel,
        closed=wishes.is_closed,
        accepted_types=None if wishes.accepted_types is None else list(wishes.accepted_types),
        allowed_senders=senders if wishes.sender_rule is SenderRule.ALLOW else None,
        blocked_senders=senders if wishes.sender_rule is SenderRule.BLOCK else None,
        muted_until=wishes.muted_until,
        quiet_hours=None if hours is None else _clocks(hours),
    )


def _clocks(hours: tuple[time, time]) -> QuietHoursData:
    return QuietHoursData(begin=f"{hours[0]:%H:%M}", until=f"{hours[1]:%H:%M}")
