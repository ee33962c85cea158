"""Cancelling what a client has waiting, while a worker is at work on it."""

from threading import Event, Thread

import pytest
import typer

from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import Channel, Reason, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender
from worker.cli.cancelling import cancel_waiting


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
