"""`postroom vetting` decides, undoes and shows decisions, and decides many cases alike after a preview."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from delivery.records.database import transaction
from delivery.records.vetting import decisions
from delivery.vocabulary import CaseState, State
from tests.steps.test_decisions import Hold, hold
from tests.support.fixtures import Fixtures
from worker.cli.app import app

__all__ = ["hold"]
Run = Callable[..., Any]


@pytest.fixture
def run(command: Run) -> Run:
    """Return the command `postroom vetting`."""
    return partial(command, app, "vetting")


@pytest.fixture
def held(fixtures: Fixtures, hold: Hold) -> UUID:
    """Return a held message to two accounts."""
    return hold(fixtures.account(), fixtures.account(), sender_email="grace@example.com")


def test_a_decision_for_one_recipient_can_be_undone(run: Run, fixtures: Fixtures, held: UUID) -> None:
    case_id, (first, _) = fixtures.case(held).case_id, fixtures.view(held).recipients

    decided = run("approve", case_id, "--as", "Ada", "--only", first.account_id, "--pause", 200)
    again = run("reject", case_id, "--as", "Grace")
    undone = run("undo", case_id, "--as", "Grace")
    late = run("undo", case_id)

    assert "takes effect in 200 s" in decided.output
    assert (1, "approve by Ada") == (again.exit_code, "approve by Ada" if "approve by Ada" in again.output else "")
    assert (0, 1) == (undone.exit_code, late.exit_code)
    assert [State.HELD, State.HELD] == fixtures.states(held)
    assert "undone by Grace" in run("show", case_id).output


def test_a_rejection_has_a_reason_and_a_sentence(run: Run, fixtures: Fixtures, held: UUID) -> None:
    case_id = fixtures.case(held).case_id

    wrong = run("reject", case_id, "--reason", "because")
    too_long = run("reject", case_id, "--sentence", "x" * 301)
    rejected = run("reject", case_id, "--reason", "spam", "--sentence", "No advertising.", "--note", "third time")

    assert (1, 2, 0) == (wrong.exit_code, too_long.exit_code, rejected.exit_code)
    (decision,) = json.loads(run("show", case_id, "--json").stdout)["decisions"]
    assert ("spam", "No advertising.", "third time") == tuple(decision[x] for x in ("reason", "sentence", "note"))
    assert CaseState.REJECTED is fixtures.case(held).state


def test_many_cases_are_decided_after_a_preview(run: Run, fixtures: Fixtures, held: UUID, hold: Hold) -> None:
    other = hold(fixtures.account(), sender_email="grace@example.com")
    choice = ("bulk", "reject", "--sender", "grace@example.com", "--pause", "100")

    previewed = run(*choice)
    wrong = run(*choice, "--typed", 3)
    states = {fixtures.case(each).state for each in (held, other)}
    decided = run(*choice, "--typed", 2)

    assert "2 cases, 3 recipients, 1 sender" in previewed.output
    assert (1, {CaseState.OPEN}) == (wrong.exit_code, states)
    with transaction(fixtures.database) as db:
        (made,) = decisions.of_case(db, fixtures.case(held).case_id)
    assert f"batch {made.batch_id}: 2 cases decided" in decided.output
    assert timedelta(seconds=100) == made.effective_at - made.decided_at
    assert "2 undone, 0 too late" in run("undo-batch", made.batch_id).output


def test_groups_are_listed_and_decided_by_their_text(run: Run, fixtures: Fixtures, hold: Hold) -> None:
    body = "Dear friend, several containers of wonderful machinery wait for your proposal"
    case_id = fixtures.case(hold(fixtures.account(), body=body)).case_id
    hold(fixtures.account(), body=body + "!")

    assert f"2 cases, the oldest is {case_id}" in run("groups").output
    assert "2 cases decided" in run("bulk", "approve", "--same-text", case_id, "--typed", 2).output
    assert "No two open cases" in run("groups").output


@pytest.mark.parametrize("words", [("keep", "--sender", "a@b.c"), ("approve",), ("approve", "--rule", "a")])
def test_an_incomplete_choice_is_refused(run: Run, words: tuple[str, ...]) -> None:
    assert 2 == run("bulk", *words).exit_code
