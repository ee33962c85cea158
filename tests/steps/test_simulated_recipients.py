"""Simulated recipients end in one state each, for clients that are marked for tests, and do not exist for others."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from delivery.records.database import transaction
from delivery.records.identities import simulated_accounts
from delivery.records.pipeline.accept import UnknownRecipients
from delivery.rules.simulated_recipients import SIMULATED, WAIT
from delivery.vocabulary import State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tests.support.api_client import Headers, post
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender
from worker.cli.app import app

BY_NAME = {each.name: account_id for account_id, each in SIMULATED.items()}
FIRST = {
    "delivered": State.DELIVERED,
    "blocked": State.BLOCKED,
    "failed": State.FAILED,
    "retrying": State.RETRYING,
    "held": State.HELD,
    "refused": State.REFUSED,
}


@pytest.fixture
def marked(fixtures: Fixtures) -> UUID:
    """Mark the client for tests and return its id."""
    with transaction(fixtures.database) as db:
        simulated_accounts.mark(db, fixtures.client_id, is_test=True)
    return fixtures.client_id


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.usefixtures("marked")
def test_each_ends_in_its_state(fixtures: Fixtures, context: StepContext, name: str, relay: RecordingSender) -> None:
    message = fixtures.message(BY_NAME[name])

    decide(context, [message])

    assert [FIRST[name]] == fixtures.states(message)
    assert [] == relay.letters


@pytest.mark.usefixtures("marked")
def test_the_one_that_is_tried_again_is_delivered(fixtures: Fixtures, context: StepContext) -> None:
    message = fixtures.message(BY_NAME["retrying"])
    decide(context, [message])
    fixtures.let_pass(WAIT)

    deliver(context, fixtures.recipient_ids(message))

    assert [State.DELIVERED] == fixtures.states(message)


@pytest.mark.usefixtures("marked")
def test_another_recipient_of_the_same_message_is_reached(fixtures: Fixtures, context: StepContext) -> None:
    message = fixtures.message(BY_NAME["failed"], fixtures.account())

    decide(context, [message])

    assert [State.FAILED, State.DELIVERED] == fixtures.states(message)


@pytest.mark.usefixtures("marked")
def test_for_a_client_that_is_not_marked_they_do_not_exist(fixtures: Fixtures) -> None:
    fixtures.client_id = fixtures.client()
    known = fixtures.incoming(fixtures.account())
    simulated = fixtures.incoming(fixtures.account(), *SIMULATED)

    accepted = fixtures.accept(known, simulated)

    assert UnknownRecipients(frozenset(SIMULATED)) == accepted[simulated.message_id]
    assert not isinstance(accepted[known.message_id], UnknownRecipients)


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_post_of_another_client_is_refused_as_before(
    http: httpx2.Client, key: Headers, fixtures: Fixtures, query: str
) -> None:
    fields = {"recipient_uuids": [str(BY_NAME["held"])], "sender_name": "Ada", "subject": "Hi", "body": "Hello"}
    before = http.post(f"/messages{query}", json=fields, headers=key)
    with transaction(fixtures.database) as db:
        simulated_accounts.mark(db, fixtures.client(), is_test=True)

    after = http.post(f"/messages{query}", json=fields, headers=key)

    assert (400, before.json()["errors"]) == (after.status_code, after.json()["errors"])


@pytest.mark.usefixtures("marked")
def test_a_marked_client_sends_to_them_by_http(http: httpx2.Client, key: Headers) -> None:
    assert 201 == post(http, key, *SIMULATED, prefer="respond-async").status_code


def test_an_operator_marks_a_client_and_ends_it(command: Callable[..., Any], fixtures: Fixtures) -> None:
    marked = command(app, "clients", "test", fixtures.client_id)
    message = fixtures.message(BY_NAME["held"])
    ended = command(app, "clients", "test", fixtures.client_id, "--stop")

    assert (0, 0, len(SIMULATED)) == (marked.exit_code, ended.exit_code, len(marked.output.splitlines()))
    assert [State.ACCEPTED] == fixtures.states(message)
    again = fixtures.incoming(BY_NAME["held"])
    assert UnknownRecipients(frozenset({BY_NAME["held"]})) == fixtures.accept(again)[again.message_id]


def test_the_page_for_integrators_lists_them_all() -> None:
    page = (Path(__file__).parents[2] / "docs/integrate.md").read_text("utf-8")

    listed = dict(re.findall(r"\| `(51510000-[0-9a-f-]+)` \| `(\w+)`", page))

    assert {str(account_id): each.name for account_id, each in SIMULATED.items()} == listed
