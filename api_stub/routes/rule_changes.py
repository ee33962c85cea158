"""Change the rules in force: each change is checked, and makes a new rule set that says who made it and why."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import APIRouter, Request

from api_stub import openapi
from api_stub.authentication import AuthenticatedClient, name_credential
from api_stub.requests.body import read_fields
from api_stub.routes.rules import GUARD, Editor, detail, entries_of, in_force, run_apart
from api_stub.schemas.rules import (
    CheckedRules,
    CheckedRulesData,
    PolicyDetail,
    RuleDetail,
    RuleSetDetail,
    WordListDetail,
    build_policy,
    build_set,
    meta_of,
)
from api_stub.server.errors import ApiError, not_found
from api_stub.services import services_of
from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.rule_changes import CHECKED_DOCUMENT, DOCUMENT_CHANGE, ENTRY_CHANGE, MODE_CHANGE
from delivery.intake.shapes import Shape
from delivery.records.rule_sets import store
from delivery.rulebook.documents import InvalidRuleSet, read_policy, read_rule_set
from delivery.rules import rule_edits
from delivery.rules.rule_set import RuleSet, faults_of

router = APIRouter(tags=["rules"])

_JSON = "application/json"
_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
Edit = Callable[[RuleSet], RuleSet]
Read = TypeVar("Read")


def _takes(shape: Shape[Any]) -> dict[str, Any]:
    return {**GUARD, "requestBody": openapi.body_of(shape, _JSON)}


@router.post("/rule-check", responses=_ERRORS, openapi_extra=_takes(CHECKED_DOCUMENT))
async def check(request: Request, client: Editor) -> CheckedRules:
    """Check a document: names, types, lists and the examples of every rule. Nothing is changed."""
    sent = CHECKED_DOCUMENT.read(await read_fields(request))
    faults = await run_apart(partial(_document_faults, sent.document))
    return CheckedRules(meta=meta_of(await in_force(request, client)), data=CheckedRulesData(faults=faults))


@router.put("/rule-set", responses=_ERRORS, openapi_extra=_takes(DOCUMENT_CHANGE))
async def put_set(request: Request, client: Editor) -> RuleSetDetail:
    """Put a document in force as the next rule set, after checking it. Rules that changed get the next version."""
    sent = DOCUMENT_CHANGE.read(await read_fields(request))
    before = await in_force(request, client)
    wanted = await run_apart(partial(_read_or_refuse, read_rule_set, sent.document))
    after = await _change(request, client, before, lambda found: rule_edits.replaced(found, wanted), sent.comment)
    return build_set(after, before)


@router.put("/rules/{rule_name}/mode", responses=_ERRORS, openapi_extra=_takes(MODE_CHANGE))
async def put_mode(request: Request, rule_name: str, client: Editor) -> RuleDetail:
    """Put a rule into draft, shadow or live mode. One that refuses goes live with a second person's credential."""
    sent = MODE_CHANGE.read(await read_fields(request))
    person = name_credential(request, client)

    def edit(found: RuleSet) -> RuleSet:
        try:
            return rule_edits.with_mode(found, rule_name, sent.mode, person=person)
        except rule_edits.SecondPersonNeeded as first:
            return first.rule_set

    before = await in_force(request, client)
    return detail(await _change(request, client, before, edit, sent.comment), rule_name)


@router.post("/lists/{list_name}", responses=_ERRORS, openapi_extra=_takes(ENTRY_CHANGE))
async def change_list(request: Request, list_name: str, client: Editor) -> WordListDetail:
    """Add entries to a list and remove entries from it."""
    sent = ENTRY_CHANGE.read(await read_fields(request))
    edit = partial(rule_edits.with_entries, name=list_name, add=sent.add or (), remove=sent.remove or ())
    before = await in_force(request, client)
    return entries_of(await _change(request, client, before, edit, sent.comment), list_name)


@router.put("/policy", responses=_ERRORS, openapi_extra=_takes(DOCUMENT_CHANGE))
async def put_policy(request: Request, client: Editor) -> PolicyDetail:
    """Replace the policy. The document is a YAML list of rows."""
    sent = DOCUMENT_CHANGE.read(await read_fields(request))
    rows = await run_apart(partial(_read_or_refuse, read_policy, sent.document))
    before = await in_force(request, client)
    after = await _change(request, client, before, lambda found: replace(found, policy=rows), sent.comment)
    return build_policy(after)


async def _change(request: Request, client: AuthenticatedClient, before: RuleSet, edit: Edit, comment: str) -> RuleSet:
    """Store the changed set and return it with its number. Raises `ApiError` (404, 409) or `InvalidInput`."""
    try:
        after = edit(before)
    except rule_edits.NoSuchRule:
        raise not_found() from None
    if faults := await run_apart(lambda: faults_of(after) or rule_edits.failed_examples(after)):
        raise _invalid(faults)
    changing, person = services_of(request).databases.changing, name_credential(request, client)
    try:
        number = await changing.run_in_turn(
            client.client_id, store.store, replace(after, number=before.number), made_by=person, comment=comment
        )
    except store.ChangedMeanwhile as error:
        raise ApiError(HTTPStatus.CONFLICT, "changed_meanwhile", str(error), headers={"Retry-After": "1"}) from error
    return replace(after, number=number)


def _read_or_refuse(read: Callable[[str], Read], document: str) -> Read:
    try:
        return read(document)
    except InvalidRuleSet as error:
        raise _invalid(error.faults) from None


def _invalid(faults: list[str]) -> InvalidInput:
    return InvalidInput([FieldError("document", "invalid_rules", each) for each in faults])


def _document_faults(document: str) -> list[str]:
    try:
        return rule_edits.failed_examples(read_rule_set(document))
    except InvalidRuleSet as error:
        return error.faults
