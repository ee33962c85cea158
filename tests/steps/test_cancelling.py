"""Cancelling what a client has waiting, while a worker is at work on it."""

from dataclasses import replace
from threading import Event, Thread

import pytest
import typer

from delivery.records.database import transaction
from delivery.records.pipeline import cancellations
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import CaseState, Channel, Reason, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tasks.steps.review import apply_decisions, decide_case
from tests.steps.test_decisions import PAUSE, Hold, hold, made, violated
from tests.support.build import APPROVED
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender
from worker.cli.cancelling import cancel_waiting

__all__ = ["hold"]


def test_an_attempt_under_way_is_waited_for_and_cancelled_if_it_did_not_arrive(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])
    began, may_end = Event(), Event()

    def answer(_: ClaimedDelivery) -> Outcome:
        began.set()
        may_end.wait(10)
        return Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER)

    relay.answer = answer
    attempt = Thread(target=deliver, args=(context, fixtures.recipient_ids(message_id)))
    attempt.start()
    began.wait(10)
    with pytest.raises(typer.Exit):
        cancel_waiting(fixtures.database, fixtures.client_id, longest_s=0.0)
    may_end.set()
    attempt.join()

    cancel_waiting(fixtures.database, fixtures.client_id)

    assert [State.CANCELLED] == fixtures.states(message_id)


def test_cancelling_ends_a_decision_that_waits_for_its_pause(
    fixtures: Fixtures, hold: Hold, context: StepContext
) -> None:
    message_id = hold(fixtures.account())
    decide_case(context, fixtures.case(message_id).case_id, replace(APPROVED, pause=PAUSE))

    with transaction(fixtures.database) as db:
        cancellations.cancel(db, fixtures.client_id, detail="an operator")
    fixtures.let_pass(PAUSE)
    apply_decisions(context, [message_id])

    assert ([State.CANCELLED], CaseState.REJECTED) == (fixtures.states(message_id), fixtures.case(message_id).state)
    assert ["an operator"] == [each.undone_by for each in made(fixtures, message_id)]
    assert [] == violated(fixtures)
