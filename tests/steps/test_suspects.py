"""A recipient that workers have died of is tried alone, and the death of a worker then tells of whom it was."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

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
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender
from tests.support.waiting import wait_until

DEAD = uuid4()


@pytest.fixture
def context(context: StepContext, tmp_path: Path) -> StepContext:
    """Give an office whose journals lie in a folder of this test, and whose sweep hardly rests."""
    brisk = context.settings.model_copy(update={"journal_folder": str(tmp_path), "sweep_tick_s": 0.02})
    return replace(context, settings=brisk)


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[FileJournal]:
    """Give the journal of the dead worker."""
    notes = FileJournal(tmp_path, DEAD)
    yield notes
    notes.close()


def waiting_message(fixtures: Fixtures, context: StepContext, channel: Channel) -> UUID:
    """Take in a message to three, all of whom wait for an attempt on this channel."""
    message_id = fixtures.message(*fixtures.accounts(3, Channel.EMAIL))
    decide(context, [message_id])
    fixtures.ask("UPDATE recipient SET channel = :channel WHERE message_id = :id", channel=channel, id=message_id)
    return message_id


def die_of(fixtures: Fixtures, context: StepContext, message_id: UUID, *, times: int = 1) -> None:
    """Let so many workers die, each with all recipients of a message under way."""
    for _ in range(times):
        claim(fixtures, message_id, claims.make_token(DEAD), is_isolated=True)
        recover_worker(context, DEAD)


@pytest.mark.usefixtures("notes")
def test_a_recipient_that_two_workers_died_of_is_tried_by_none_that_has_others_under_way(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    die_of(fixtures, context, queued, times=2)

    deliver(context, fixtures.recipient_ids(queued))
    before = list(relay.letters)
    deliver_isolated(context, fixtures.recipient_ids(queued))

    assert ([], 1) == (before, len(relay.letters))
    assert [State.DELIVERED] == fixtures.states(queued)


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.INBOX])
@pytest.mark.usefixtures("notes")
def test_neighbours_of_a_recipient_that_kills_are_delivered_and_it_alone_is_set_aside(
    fixtures: Fixtures, context: StepContext, channel: Channel
) -> None:
    message_id = waiting_message(fixtures, context, channel)
    die_of(fixtures, context, message_id, times=2)
    (poison, *_) = fixtures.recipient_ids(message_id)
    with transaction(fixtures.database) as db:
        claims.claim(db, [poison], token=claims.make_token(DEAD), lease=LEASE, is_isolated=True)

    recover_worker(context, DEAD)
    with sweeping(context):
        wait_until(lambda: [State.RETRYING, State.DELIVERED, State.DELIVERED] == fixtures.states(message_id))

    assert [Reason.POISONED, None, None] == fixtures.reasons(message_id)


@pytest.mark.usefixtures("notes")
def test_a_death_counts_against_the_suspect_that_was_tried_alone_and_not_against_who_came_by(
    fixtures: Fixtures, context: StepContext, queued: UUID
) -> None:
    die_of(fixtures, context, queued, times=2)
    passer_by = waiting_message(fixtures, context, Channel.EMAIL)
    claim(fixtures, passer_by, claims.make_token(DEAD))

    die_of(fixtures, context, queued)

    assert [Reason.POISONED] == fixtures.reasons(queued)
    assert [3, 0, 0, 0] == [row.deaths for row in fixtures.ask("SELECT deaths FROM recipient ORDER BY id")]


@pytest.mark.parametrize(("first", "second"), [(deliver, deliver_isolated), (deliver_isolated, deliver)])
def test_who_is_tried_alone_and_who_is_not_are_never_under_way_together(
    fixtures: Fixtures, context: StepContext, first: Callable[..., None], second: Callable[..., None]
) -> None:
    ids = [fixtures.recipient_ids(waiting_message(fixtures, context, Channel.EMAIL)) for _ in range(2)]
    under_way: list[UUID] = []
    seen: list[int] = []

    def send(letter: ClaimedDelivery) -> Outcome:
        under_way.append(letter.message_id)
        if not seen:
            pool.submit(second, slow, ids[1][:1])
        threading.Event().wait(0.1)  # Long enough for the second to come in, if it may.
        seen.append(len(set(under_way)))
        under_way.remove(letter.message_id)
        return Outcome(OutcomeKind.SENT)

    slow = replace(context, senders={Channel.EMAIL: RecordingSender(send)})
    with ThreadPoolExecutor(1) as pool:
        first(slow, ids[0][:1])

    assert [1, 1] == seen


def test_a_worker_that_leaves_begins_with_no_suspect(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    context.fan_out.stop()

    deliver_isolated(context, fixtures.recipient_ids(queued))

    assert ([], [State.QUEUED]) == (relay.letters, fixtures.states(queued))
