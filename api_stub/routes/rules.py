"""Read the rules in force, their history, their word lists and the policy."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Request

from api_stub import openapi
from api_stub.authentication import AuthenticatedClient, require_scope
from api_stub.schemas.rules import (
    EditionList,
    PolicyDetail,
    RuleDetail,
    RuleList,
    RuleSetDetail,
    WordListDetail,
    WordListEntries,
    WordListList,
    build_editions,
    build_list,
    build_policy,
    build_rule,
    build_set,
    meta_of,
)
from api_stub.server.errors import not_found
from api_stub.services import services_of
from delivery.records.rule_sets import store
from delivery.rulebook.documents import read_stored
from delivery.rules import rule_edits
from delivery.rules.rule_set import RuleSet
from delivery.vocabulary import Scope

router = APIRouter(tags=["rules"])

Editor = Annotated[AuthenticatedClient, Depends(require_scope(Scope.VETTING_RULES))]
GUARD = {"security": openapi.guarded_by(Scope.VETTING_RULES)}
_ERRORS = openapi.errors(*openapi.GUARDED, HTTPStatus.NOT_FOUND)
_HISTORY_LIMIT = 100
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

Result = TypeVar("Result")


@cache
def _compiler() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="rules")


async def run_apart(function: Callable[[], Result]) -> Result:
    """Run a function that compiles rules, which takes a tenth of a second, on a thread of its own."""
    return await asyncio.get_running_loop().run_in_executor(_compiler(), function)


async def read_set(request: Request, client: AuthenticatedClient, number: int | None = None) -> RuleSet | None:
    """Return the rule set of this number, by default the one in force; None if there is none of this number."""
    reading = services_of(request).databases.reading
    stored = await reading.run_in_turn(client.client_id, store.stored_set, number)
    if stored is None:
        return RuleSet() if number is None else None
    return await run_apart(lambda: read_stored(stored.document, stored.number))


async def in_force(request: Request, client: AuthenticatedClient) -> RuleSet:
    """Return the rule set in force; an empty one where there is none."""
    return await read_set(request, client) or RuleSet()


@router.get("/rules", responses=_ERRORS, openapi_extra=GUARD)
async def list_rules(request: Request, client: Editor) -> RuleList:
    """List the rules in force."""
    found = await in_force(request, client)
    return RuleList(meta=meta_of(found), data=[build_rule(each) for each in found.rules])


@router.get("/rules/{rule_name}", responses=_ERRORS, openapi_extra=GUARD)
async def read_rule(request: Request, rule_name: str, client: Editor) -> RuleDetail:
    """Read a rule."""
    return detail(await in_force(request, client), rule_name)


def detail(found: RuleSet, rule_name: str) -> RuleDetail:
    """Return the answer about one rule of a set. Raises `ApiError` (404) where it has none of this name."""
    try:
        return RuleDetail(meta=meta_of(found), data=build_rule(rule_edits.rule_of(found, rule_name)))
    except rule_edits.NoSuchRule:
        raise not_found() from None


@router.get("/rule-sets", responses=_ERRORS, openapi_extra=GUARD)
async def list_sets(request: Request, client: Editor) -> EditionList:
    """List the newest hundred rule sets, newest first, with who made each and why."""
    found = await in_force(request, client)
    reading = services_of(request).databases.reading
    return build_editions(found, await reading.run_in_turn(client.client_id, store.editions, _HISTORY_LIMIT))


@router.get("/rule-sets/{rule_set_number}", responses=_ERRORS, openapi_extra=GUARD)
async def read_one_set(request: Request, rule_set_number: str, client: Editor) -> RuleSetDetail:
    """Read a rule set as YAML, with what changed since the one before."""
    found = await read_set(request, client, int(rule_set_number)) if _NUMBER.fullmatch(rule_set_number) else None
    if found is None:
        raise not_found()
    return await _with_changes(request, client, found)


@router.get("/rule-set", responses=_ERRORS, openapi_extra=GUARD)
async def read_current_set(request: Request, client: Editor) -> RuleSetDetail:
    """Read the rule set in force as YAML, with what changed since the one before."""
    return await _with_changes(request, client, await in_force(request, client))


async def _with_changes(request: Request, client: AuthenticatedClient, found: RuleSet) -> RuleSetDetail:
    before = await read_set(request, client, found.number - 1) if found.number > 1 else None
    return await run_apart(lambda: build_set(found, before or RuleSet()))


@router.get("/lists", responses=_ERRORS, openapi_extra=GUARD)
async def list_lists(request: Request, client: Editor) -> WordListList:
    """List the word lists in force."""
    found = await in_force(request, client)
    return WordListList(meta=meta_of(found), data=[build_list(each) for each in found.lists])


@router.get("/lists/{list_name}", responses=_ERRORS, openapi_extra=GUARD)
async def read_list(request: Request, list_name: str, client: Editor) -> WordListDetail:
    """Read the entries of a list."""
    return entries_of(await in_force(request, client), list_name)


def entries_of(found: RuleSet, list_name: str) -> WordListDetail:
    """Return the answer about one list of a set. Raises `ApiError` (404) where it has none of this name."""
    for each in found.lists:
        if each.name == list_name:
            return WordListDetail(meta=meta_of(found), data=WordListEntries(name=each.name, entries=list(each.entries)))
    raise not_found()


@router.get("/policy", responses=_ERRORS, openapi_extra=GUARD)
async def read_policy(request: Request, client: Editor) -> PolicyDetail:
    """Read the policy in force."""
    return build_policy(await in_force(request, client))
