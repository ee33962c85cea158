"""A standing decision decides later messages with one text from one sender, until it ends or is revoked."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from delivery.records.database import transaction
from delivery.records.pipeline import due
from delivery.records.vetting import audit, standing
from delivery.records.vetting.audit import AuditFilter
from delivery.rules.audit_chain import AuditKind
from delivery.rules.case_decisions import (
    CaseNotOpen,
    CaseVerdict,
    InvalidDecision,
    NotUndone,
    OwnMessage,
    StandingDecision,
)
from delivery.vocabulary import CaseState, Reason, State
from tasks.context import StepContext
from tasks.steps.review import apply_decisions
from tasks.steps.standing_decisions import make_standing, revoke_standing
from tests.steps.test_decisions import Hold, hold
from tests.support.build import STAFF
from tests.support.fixtures import Fixtures
from worker.cli.app import app

__all__ = ["hold"]
SENDER = {"sender_email": "grace@example.com", "body": "Do you sell stamps?"}


@pytest.fixture
def made(fixtures: Fixtures, hold: Hold) -> StandingDecision:
    """Return a standing decision about a case, not stored yet."""
    case_id = fixtures.case(hold(fixtures.account(), **SENDER)).case_id
    return StandingDecision(case_id, CaseVerdict.REJECT, STAFF, sentence="No stamps here.")


def sweep(fixtures: Fixtures, context: StepContext) -> None:
    """Apply what is due, as the sweep does."""
    with transaction(fixtures.database) as db:
        waiting = due.decided(db, 100)
    apply_decisions(context, waiting)


def test_the_same_text_from_the_same_sender_is_decided_without_staff(
    fixtures: Fixtures, hold: Hold, context: StepContext, made: StandingDecision
) -> None:
    standing_id = make_standing(context, made)
    later = hold(fixtures.account(), sender_email="Grace@Example.com", body="DO YOU SELL STAMPS?")
    sweep(fixtures, context)

    assert ([State.REFUSED], [Reason.REFUSED_BY_STAFF]) == (fixtures.states(later), fixtures.reasons(later))
    assert (CaseState.REJECTED, "Ada") == (fixtures.case(later).state, fixtures.case(later).decided_by)
    assert "No stamps here." == fixtures.view(later).sentence
    with transaction(fixtures.database) as db:
        (view,) = standing.standing_decisions(db)
        kinds = [each.kind for each in audit.search(db, AuditFilter(subject=str(standing_id)), 10)]
    assert (1, [AuditKind.STANDING_USED, AuditKind.STANDING_MADE]) == (view.uses, kinds)


def test_an_approval_still_asks_preferences(
    fixtures: Fixtures, hold: Hold, context: StepContext, made: StandingDecision
) -> None:
    make_standing(context, replace(made, verdict=CaseVerdict.APPROVE, sentence=None))
    open_one = fixtures.account()
    later = hold(open_one, fixtures.account(is_closed=True), **SENDER)
    before = fixtures.states(later)
    sweep(fixtures, context)

    assert [State.HELD, State.BLOCKED] == before
    assert [State.DELIVERED, State.BLOCKED] == fixtures.states(later)


@pytest.mark.parametrize(
    "fields",
    [{"body": "Do you sell coins?"}, {"sender_email": "other@example.com"}, {"sender_email": None}],
    ids=["another text", "another sender", "no sender"],
)
def test_another_text_or_sender_waits_for_staff(
    fixtures: Fixtures, hold: Hold, context: StepContext, made: StandingDecision, fields: dict[str, Any]
) -> None:
    make_standing(context, made)

    later = hold(fixtures.account(), **{**SENDER, **fields})
    sweep(fixtures, context)

    assert CaseState.OPEN is fixtures.case(later).state


@pytest.mark.parametrize("how", ["ended", "revoked"])
def test_an_ended_or_revoked_one_decides_nothing(
    fixtures: Fixtures, hold: Hold, context: StepContext, made: StandingDecision, how: str
) -> None:
    standing_id = make_standing(context, made)
    if how == "revoked":
        revoke_standing(context, standing_id, STAFF)
    else:
        fixtures.run_sql("UPDATE standing_decision SET ends_at = clock_timestamp()")

    later = hold(fixtures.account(), **SENDER)

    assert CaseState.OPEN is fixtures.case(later).state
    with pytest.raises(NotUndone):
        revoke_standing(context, standing_id, STAFF)


def test_a_message_without_a_sender_and_ones_own_message_get_none(
    fixtures: Fixtures, hold: Hold, context: StepContext, made: StandingDecision
) -> None:
    unsigned = fixtures.case(hold(fixtures.account())).case_id

    with pytest.raises(CaseNotOpen):
        make_standing(context, replace(made, case_id=unsigned))
    with pytest.raises(OwnMessage):
        make_standing(context, replace(made, actor=replace(STAFF, address="grace@example.com")))
    assert 0 == fixtures.count("standing_decision")


@pytest.mark.parametrize("change", [{"lasts": timedelta(days=91)}, {"lasts": timedelta()}, {"sentence": "a\nb"}])
def test_an_impossible_standing_decision_cannot_be_made(made: StandingDecision, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidDecision):
        replace(made, **change)


def test_the_commands_make_list_and_revoke_one(
    fixtures: Fixtures, made: StandingDecision, command: Callable[..., Any]
) -> None:
    stood = command(app, "vetting", "stand", made.case_id, "approve", "--days", 3)
    (listed,) = json.loads(command(app, "vetting", "standing", "--json").stdout)["standing"]
    standing_id = UUID(listed["standing_id"])

    assert "in force for 3 days" in stood.output
    assert str(standing_id) in command(app, "vetting", "standing").output
    assert 0 == command(app, "vetting", "revoke", standing_id).exit_code
    assert "No standing decision" in command(app, "vetting", "standing").output
    assert 1 == command(app, "vetting", "revoke", standing_id).exit_code
    assert CaseState.OPEN.value == fixtures.run_sql("SELECT state FROM vetting_case")[0].state
