"""A recipient that workers crashed on is tried in isolation, so that the next crash identifies its cause."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from delivery.attempt_journal import FileJournal
from delivery.records.database import transaction
from delivery.records.pipeline import claims
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import Channel, Reason, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver, deliver_isolated
from tasks.steps.recover_worker import recover_worker
from tests.steps.test_sweep import sweeping
from tests.support.attempts import LEASE, claim
from tests.support.dead_worker import DEAD_WORKER, open_journal, recovering_context
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender
from tests.support.waiting import wait_until


@pytest.fixture
def context(context: StepContext, tmp_path: Path) -> StepContext:
    """Return a context with its journals in a folder of this test, and a sweep that rests 20 ms."""
    return recovering_context(context, tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FileJournal]:
    """Yield the journal of the dead worker."""
    with open_journal(tmp_path) as journal:
        yield journal


def message_waiting_for(fixtures: Fixtures, context: StepContext, channel: Channel) -> UUID:
    """Store a message to three recipients, all of which wait for an attempt on this channel."""
    message_id = fixtures.message(*fixtures.accounts(3, Channel.EMAIL))
    decide(context, [message_id])
    fixtures.run_sql("UPDATE recipient SET channel = :channel WHERE message_id = :id", channel=channel, id=message_id)
    return message_id


def crash_workers_on(fixtures: Fixtures, context: StepContext, message_id: UUID, *, times: int = 1) -> None:
    """Crash this many workers, each with all recipients of a message under way, and recover them."""
    for _ in range(times):
        claim(fixtures, message_id, claims.make_token(DEAD_WORKER), is_isolated=True)
        recover_worker(context, DEAD_WORKER)


@pytest.mark.usefixtures("journal")
def test_a_recipient_that_two_workers_crashed_on_is_delivered_only_in_isolation(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    crash_workers_on(fixtures, context, queued, times=2)

    deliver(context, fixtures.recipient_ids(queued))
    sent_by_deliver = list(relay.letters)
    deliver_isolated(context, fixtures.recipient_ids(queued))

    assert ([], 1) == (sent_by_deliver, len(relay.letters))
    assert [State.DELIVERED] == fixtures.states(queued)


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.INBOX])
@pytest.mark.usefixtures("journal")
def test_only_the_recipient_that_crashes_workers_is_parked_and_the_others_are_delivered(
    fixtures: Fixtures, context: StepContext, channel: Channel
) -> None:
    message_id = message_waiting_for(fixtures, context, channel)
    crash_workers_on(fixtures, context, message_id, times=2)
    (poison, *_) = fixtures.recipient_ids(message_id)
    with transaction(fixtures.database) as db:
        claims.claim(db, [poison], token=claims.make_token(DEAD_WORKER), lease=LEASE, is_isolated=True)

    recover_worker(context, DEAD_WORKER)
    with sweeping(context):
        wait_until(lambda: [State.RETRYING, State.DELIVERED, State.DELIVERED] == fixtures.states(message_id))

    assert [Reason.POISONED, None, None] == fixtures.reasons(message_id)


@pytest.mark.usefixtures("journal")
def test_a_crash_counts_against_the_isolated_suspect_and_not_against_other_recipients(
    fixtures: Fixtures, context: StepContext, queued: UUID
) -> None:
    crash_workers_on(fixtures, context, queued, times=2)
    other = message_waiting_for(fixtures, context, Channel.EMAIL)
    claim(fixtures, other, claims.make_token(DEAD_WORKER))

    crash_workers_on(fixtures, context, queued)

    assert [Reason.POISONED] == fixtures.reasons(queued)
    assert [3, 0, 0, 0] == [row.deaths for row in fixtures.run_sql("SELECT deaths FROM recipient ORDER BY id")]


@pytest.mark.parametrize(("first", "second"), [(deliver, deliver_isolated), (deliver_isolated, deliver)])
def test_an_isolated_delivery_and_another_one_are_never_under_way_together(
    fixtures: Fixtures, context: StepContext, first: Callable[..., None], second: Callable[..., None]
) -> None:
    ids = [fixtures.recipient_ids(message_waiting_for(fixtures, context, Channel.EMAIL)) for _ in range(2)]
    under_way: list[UUID] = []
    counts_under_way: list[int] = []

    def send(claimed: ClaimedDelivery) -> Outcome:
        under_way.append(claimed.message_id)
        if not counts_under_way:
            pool.submit(second, slow_context, ids[1][:1])
        threading.Event().wait(0.1)  # Long enough for the second delivery to begin, if it is allowed to.
        counts_under_way.append(len(set(under_way)))
        under_way.remove(claimed.message_id)
        return Outcome(OutcomeKind.SENT)

    slow_context = replace(context, senders={Channel.EMAIL: RecordingSender(send)})
    with ThreadPoolExecutor(1) as pool:
        first(slow_context, ids[0][:1])

    assert [1, 1] == counts_under_way


def test_a_stopping_worker_begins_no_isolated_delivery(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    context.fan_out.stop()

    deliver_isolated(context, fixtures.recipient_ids(queued))

    assert ([], [State.QUEUED]) == (relay.letters, fixtures.states(queued))
