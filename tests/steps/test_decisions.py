"""A decision with a pause can be undone until it takes effect, and is for all or some of the held recipients."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from delivery.records.database import transaction
from delivery.records.pipeline import due
from delivery.records.vetting import decisions
from delivery.records.vetting.decisions import DecisionView
from delivery.records.views.invariants import CheckScope, ask
from delivery.rules.case_decisions import (
    CaseChanged,
    CaseNotOpen,
    InvalidDecision,
    NotUndone,
    OwnMessage,
)
from delivery.vocabulary import CaseState, Channel, Reason, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.review import apply_decisions, decide_case, expire_reviews
from tasks.steps.undo import undo_decision
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.api_client import Headers
from tests.support.build import APPROVED, REJECTED, STAFF
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell

PAUSE = timedelta(seconds=10)


@pytest.fixture
def hold(fixtures: Fixtures, context: StepContext) -> Callable[..., UUID]:
    """Return a function that accepts a flagged message to these accounts, opens its case and returns its id."""

    def accept_and_open(*account_ids: UUID, **fields: Any) -> UUID:
        message_id = fixtures.message(*account_ids, subject=f"Now {HELD_PHRASE}", **fields)
        decide(context, [message_id])
        vet(context, [message_id])
        return message_id

    return accept_and_open


Hold = Callable[..., UUID]


def made(fixtures: Fixtures, message_id: UUID) -> list[DecisionView]:
    """Return the decisions about the case of a message."""
    with transaction(fixtures.database) as db:
        return decisions.of_case(db, fixtures.case(message_id).case_id)


def waiting(fixtures: Fixtures) -> list[UUID]:
    """Return the messages with a decision that the sweep would apply now."""
    with transaction(fixtures.database) as db:
        return due.decided(db, 100)


def violated(fixtures: Fixtures) -> list[str]:
    """Return the invariants that do not hold."""
    with transaction(fixtures.database) as db:
        scope = CheckScope(patience=timedelta(days=30), is_everything=True)
        return [each.invariant.name for each in ask(db, scope) if each.count != 0]


def test_nothing_leaves_before_a_decision_takes_effect(
    fixtures: Fixtures, hold: Hold, context: StepContext, bells: RecordingDoorbell
) -> None:
    account = fixtures.account()
    message_id = hold(account, fixtures.account(Channel.EMAIL))
    bells.rung.clear()

    decide_case(context, fixtures.case(message_id).case_id, replace(APPROVED, pause=PAUSE))
    apply_decisions(context, [message_id])

    assert ([State.HELD, State.HELD], [], []) == (
        fixtures.states(message_id),
        fixtures.inbox(account),
        list(bells.rung),
    )
    assert (CaseState.DECIDED, 2) == (fixtures.case(message_id).state, fixtures.case(message_id).version)
    assert [] == waiting(fixtures)


def test_the_sweep_applies_a_decision_whose_worker_is_gone(
    fixtures: Fixtures, hold: Hold, context: StepContext
) -> None:
    message_id = hold(fixtures.account(), fixtures.account(Channel.EMAIL))
    decide_case(context, fixtures.case(message_id).case_id, replace(APPROVED, pause=PAUSE))
    fixtures.let_pass(PAUSE)

    assert [message_id] == waiting(fixtures)
    apply_decisions(context, [message_id])
    apply_decisions(context, [message_id])

    assert [State.DELIVERED, State.QUEUED] == fixtures.states(message_id)
    assert (CaseState.APPROVED, 3) == (fixtures.case(message_id).state, fixtures.case(message_id).version)
    assert [] == waiting(fixtures) + violated(fixtures)


def test_an_undone_decision_never_takes_effect(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    expires_at = fixtures.recipient(message_id).due_at
    case_id = fixtures.case(message_id).case_id
    decide_case(context, case_id, replace(APPROVED, pause=PAUSE))

    undo_decision(context, case_id, STAFF)
    undone, due_at = fixtures.case(message_id), fixtures.recipient(message_id).due_at
    fixtures.let_pass(PAUSE)
    apply_decisions(context, [message_id])

    assert (CaseState.OPEN, 3, None, None) == (undone.state, undone.version, undone.decided_at, undone.decided_by)
    assert [State.HELD] == fixtures.states(message_id)
    assert expires_at == due_at
    assert [("Ada", None)] == [(each.undone_by, each.applied_at) for each in made(fixtures, message_id)]
    assert [] == violated(fixtures)


def test_an_undone_case_can_be_decided_otherwise_and_still_expires(
    fixtures: Fixtures, hold: Hold, context: StepContext
) -> None:
    first, second = hold(fixtures.account()), hold(fixtures.account())
    for message_id in (first, second):
        decide_case(context, fixtures.case(message_id).case_id, replace(APPROVED, pause=PAUSE))
        undo_decision(context, fixtures.case(message_id).case_id, STAFF)

    decide_case(context, fixtures.case(first).case_id, REJECTED)
    fixtures.let_pass(timedelta(days=8))
    with transaction(fixtures.database) as db:
        expire_reviews(context, due.expired(db, 10))

    assert [Reason.REFUSED_BY_STAFF] == fixtures.reasons(first)
    assert [Reason.EXPIRED_IN_REVIEW] == fixtures.reasons(second)


def test_an_undo_says_what_it_is_too_late_for(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    applied, undone, open_one = hold(fixtures.account()), hold(fixtures.account()), hold(fixtures.account())
    decide_case(context, fixtures.case(applied).case_id, APPROVED)
    decide_case(context, fixtures.case(undone).case_id, replace(APPROVED, pause=PAUSE))
    undo_decision(context, fixtures.case(undone).case_id, STAFF)

    for message_id, words in ((applied, "took effect at"), (undone, "undone by Ada"), (open_one, "no decision")):
        with pytest.raises(NotUndone, match=words):
            undo_decision(context, fixtures.case(message_id).case_id, STAFF)
    with pytest.raises(NotUndone, match="no vetting case"):
        undo_decision(context, applied, STAFF)


def test_the_second_decider_is_told_who_was_first(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    case_id = fixtures.case(message_id).case_id
    decide_case(context, case_id, replace(REJECTED, pause=PAUSE))

    with pytest.raises(CaseNotOpen, match=r"decided: reject by Ada at .* UTC. It can be undone until .* UTC"):
        decide_case(context, case_id, APPROVED)


def test_a_decision_on_an_older_version_is_refused(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    case_id = fixtures.case(message_id).case_id
    decide_case(context, case_id, replace(APPROVED, version=1, pause=PAUSE))
    undo_decision(context, case_id, STAFF)

    with pytest.raises(CaseChanged, match="version 3, not 1"):
        decide_case(context, case_id, replace(APPROVED, version=1))

    decide_case(context, case_id, replace(APPROVED, version=3))
    assert [State.DELIVERED] == fixtures.states(message_id)


def test_a_decision_for_some_leaves_the_others_held(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    one, two, three = fixtures.account(), fixtures.account(), fixtures.account()
    message_id = hold(one, two, three)
    case_id = fixtures.case(message_id).case_id

    decide_case(context, case_id, replace(APPROVED, only=(two,)))
    after_some = fixtures.case(message_id)

    assert [State.HELD, State.DELIVERED, State.HELD] == fixtures.states(message_id)
    assert (CaseState.OPEN, 3) == (after_some.state, after_some.version)
    decide_case(context, case_id, replace(APPROVED, only=(one,), pause=PAUSE))
    fixtures.let_pass(PAUSE)
    apply_decisions(context, [message_id])
    decide_case(context, case_id, REJECTED)

    assert [State.DELIVERED, State.DELIVERED, State.REFUSED] == fixtures.states(message_id)
    assert CaseState.PARTLY is fixtures.case(message_id).state
    assert [] == violated(fixtures)


@pytest.mark.parametrize("chosen", ["delivered", "of another message"])
def test_a_decision_for_a_recipient_that_is_not_held_is_refused(
    fixtures: Fixtures, hold: Hold, context: StepContext, chosen: str
) -> None:
    one, two = fixtures.account(), fixtures.account()
    message_id = hold(one, two)
    case_id = fixtures.case(message_id).case_id
    decide_case(context, case_id, replace(APPROVED, only=(one,)))

    with pytest.raises(InvalidDecision, match="not held"):
        decide_case(context, case_id, replace(APPROVED, only=(one if chosen == "delivered" else fixtures.account(),)))

    assert [State.DELIVERED, State.HELD] == fixtures.states(message_id)


@pytest.mark.parametrize("who", ["sender's account", "sender's address", "recipient's account", "recipient's address"])
def test_who_sent_or_received_a_message_cannot_decide_it(
    fixtures: Fixtures, hold: Hold, context: StepContext, who: str
) -> None:
    sender, recipient = fixtures.account(), fixtures.account(email="bruno@example.com")
    message_id = hold(recipient, sender_email="grace@example.com")
    fixtures.run_sql("UPDATE message SET sender_account_id = :id", id=sender)
    all_facts: dict[str, dict[str, Any]] = {
        "sender's account": {"account_id": sender},
        "sender's address": {"address": "Grace@Example.com"},
        "recipient's account": {"account_id": recipient},
        "recipient's address": {"address": "BRUNO@example.com"},
    }
    actor = replace(STAFF, **all_facts[who])

    with pytest.raises(OwnMessage):
        decide_case(context, fixtures.case(message_id).case_id, replace(APPROVED, actor=actor))

    assert (CaseState.OPEN, 1) == (fixtures.case(message_id).state, fixtures.case(message_id).version)


@pytest.mark.parametrize(
    "change",
    [
        {"pause": timedelta(seconds=301)},
        {"pause": timedelta(seconds=-1)},
        {"only": ()},
        {"sentence": "two\nlines"},
        {"sentence": "x" * 301},
        {"sentence": "hidden\u200bsign"},
        {"sentence": " "},
        {"note": "a\0b"},
    ],
)
def test_an_impossible_decision_cannot_be_made(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidDecision):
        replace(REJECTED, **change)


def test_a_reason_has_to_be_one_of_the_settings(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())

    with pytest.raises(InvalidDecision, match="spam, scam"):
        decide_case(context, fixtures.case(message_id).case_id, replace(REJECTED, reason="because"))

    decide_case(context, fixtures.case(message_id).case_id, replace(REJECTED, reason="scam"))
    assert ["scam"] == [each.reason for each in made(fixtures, message_id)]


def test_the_sender_reads_the_sentence_once_the_decision_takes_effect(
    fixtures: Fixtures, hold: Hold, context: StepContext, http: httpx2.Client, key: Headers
) -> None:
    message_id = hold(fixtures.account())
    rejected = replace(REJECTED, sentence="Please leave out the bank account.", pause=PAUSE)
    decide_case(context, fixtures.case(message_id).case_id, rejected)
    before = http.get(f"/messages/{message_id}", headers=key).json()["meta"]["status_message"]

    fixtures.let_pass(PAUSE)
    apply_decisions(context, [message_id])

    after = http.get(f"/messages/{message_id}", headers=key).json()["meta"]["status_message"]
    assert "Pending review by staff." == before
    assert "Rejected by staff. Staff wrote: Please leave out the bank account." == after


def test_the_sentence_of_an_undone_decision_is_never_shown(
    fixtures: Fixtures, hold: Hold, context: StepContext, http: httpx2.Client, key: Headers
) -> None:
    message_id = hold(fixtures.account())
    case_id = fixtures.case(message_id).case_id
    decide_case(context, case_id, replace(REJECTED, sentence="You are a fraud.", pause=PAUSE))
    undo_decision(context, case_id, STAFF)
    decide_case(context, case_id, REJECTED)

    assert "Rejected by staff." == http.get(f"/messages/{message_id}", headers=key).json()["meta"]["status_message"]
