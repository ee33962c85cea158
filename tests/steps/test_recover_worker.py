"""What a dead worker had under way ends at once, as its journal tells; what workers die of is set aside."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from delivery.attempt_journal import FileJournal
from delivery.records.database import transaction
from delivery.records.pipeline import claims, due
from delivery.records.pipeline.vetting_cases import CaseDecision
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerIdentity
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import CaseState, Channel, QueueName, Reason, State, StepName
from tasks.context import StepContext
from tasks.runner import DECIDE, EXPIRE_REVIEWS, VET
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tasks.steps.recover_worker import recover_worker
from tasks.steps.release import release
from tasks.steps.review import close_case
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.steps.test_sweep import sweeping
from tests.support.attempts import claim, record
from tests.support.fixtures import Book
from tests.support.step_driver import Bell, FakeSender, NotedBells
from tests.support.waiting import wait_until
from worker.runtime.sweep import SWEEP_QUERIES

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


@pytest.fixture
def enrolled(book: Book) -> None:
    """Let the dead worker be known."""
    enroll(book)


def enroll(book: Book) -> None:
    """Let the dead worker be known, as if it lived."""
    with transaction(book.database) as db:
        registry.heartbeat(db, WorkerIdentity(DEAD, "here", 1, ("decide",)))


def claim_by_the_dead(book: Book, message_id: UUID) -> tuple[int, int]:
    """Let the dead worker claim the only recipient of a message."""
    (letter,) = claim(book, message_id, claims.make_token(DEAD), is_isolated=True)
    return letter.recipient_id, letter.attempt


def die_trying(book: Book, context: StepContext, *message_ids: UUID) -> None:
    """Let a sweep begin to work on these and die of it."""
    enroll(book)
    with transaction(book.database) as db:
        deaths.begin_trying(db, DEAD, message_ids)
    recover_worker(context, DEAD)


def test_without_a_journal_nobody_knows_and_it_is_resent_after_the_send_deadline(
    book: Book, context: StepContext, queued: UUID
) -> None:
    claim_by_the_dead(book, queued)

    recover_worker(context, DEAD)

    recipient = book.recipient(queued)
    assert (State.UNKNOWN, Reason.INTERRUPTED) == (recipient.state, recipient.reason)
    assert recipient.due_at is not None
    assert recipient.due_at - recipient.changed_at > timedelta(seconds=299)


@pytest.mark.usefixtures("notes")
def test_what_never_reached_the_dot_is_tried_again_at_once_without_a_flag(
    book: Book, context: StepContext, relay: FakeSender, bells: NotedBells, queued: UUID
) -> None:
    recipient_id, _ = claim_by_the_dead(book, queued)
    bells.rung.clear()

    recover_worker(context, DEAD)
    rung = list(bells.rung)
    deliver(context, [recipient_id])

    assert [Bell(StepName.DELIVER, QueueName.DELIVER_SMTP, (recipient_id,))] == rung
    recipient = book.recipient(queued)
    assert (State.DELIVERED, 2, False) == (recipient.state, recipient.attempt, recipient.possibly_duplicated)
    assert 1 == len(relay.letters)


def test_what_died_between_the_dot_and_its_answer_is_of_unknown_outcome(
    book: Book, context: StepContext, notes: FileJournal, queued: UUID
) -> None:
    notes.record_data_end(claim_by_the_dead(book, queued))

    recover_worker(context, DEAD)

    assert [State.UNKNOWN] == book.states(queued)


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (250, State.DELIVERED, None),
        (550, State.FAILED, Reason.MAILBOX_REFUSED),
        (552, State.RETRYING, Reason.TRY_LATER),
        (451, State.RETRYING, Reason.TRY_LATER),
        (-1, State.UNKNOWN, Reason.INTERRUPTED),
    ],
)
def test_an_answer_that_was_noted_is_the_outcome(  # noqa: PLR0917 - pytest hands them in by name
    book: Book, context: StepContext, notes: FileJournal, queued: UUID, code: int, state: State, reason: Reason | None
) -> None:
    entry = claim_by_the_dead(book, queued)
    notes.record_data_end(entry)
    notes.record_reply(entry, code)

    recover_worker(context, DEAD)

    assert (state, reason) == (book.recipient(queued).state, book.recipient(queued).reason)


@pytest.mark.usefixtures("notes")
def test_attempts_of_the_living_are_left_alone(book: Book, context: StepContext, queued: UUID) -> None:
    claim(book, queued, claims.make_token(uuid4()))

    recover_worker(context, DEAD)

    assert [State.CLAIMED] == book.states(queued)


@pytest.mark.usefixtures("notes")
def test_a_late_outcome_of_the_dead_is_fenced(book: Book, context: StepContext, queued: UUID) -> None:
    (late,) = claim(book, queued, claims.make_token(DEAD))
    recover_worker(context, DEAD)

    assert set() == record(book, late.attempted, Outcome(OutcomeKind.SENT))
    assert [State.RETRYING] == book.states(queued)


@pytest.mark.usefixtures("notes")
def test_a_recipient_that_three_workers_died_of_is_set_aside_and_no_bell_brings_it_back(
    book: Book, context: StepContext, relay: FakeSender, queued: UUID
) -> None:
    for _ in range(3):
        before = book.states(queued)
        claim_by_the_dead(book, queued)
        recover_worker(context, DEAD)
        recover_worker(context, DEAD)
    book.let_pass(timedelta(days=30))

    deliver(context, book.recipient_ids(queued))

    assert ([State.RETRYING], [State.RETRYING]) == (before, book.states(queued))
    assert ([], Reason.POISONED, 3) == (relay.letters, book.recipient(queued).reason, book.recipient(queued).attempt)


def test_what_was_set_aside_is_sent_after_its_release_and_says_that_a_copy_may_exist(
    book: Book, context: StepContext, relay: FakeSender, queued: UUID
) -> None:
    for _ in range(3):
        claim_by_the_dead(book, queued)
        recover_worker(context, DEAD)
        book.let_pass(timedelta(minutes=5))

    released = release(context, queued)
    deliver(context, book.recipient_ids(queued))

    assert (1, 1, True) == (released, len(relay.letters), book.recipient(queued).possibly_duplicated)
    assert [State.DELIVERED] == book.states(queued)


def test_a_message_that_three_sweeps_died_of_is_set_aside_and_no_bell_brings_it_back(
    book: Book, context: StepContext
) -> None:
    message_id = book.message(book.account(), book.account())

    for _ in range(3):
        before = book.reasons(message_id)
        die_trying(book, context, message_id)
    decide(context, [message_id])

    assert [None] * 2 == before
    assert ([State.ACCEPTED] * 2, [Reason.POISONED] * 2) == (book.states(message_id), book.reasons(message_id))


def test_a_message_is_decided_after_its_release(book: Book, context: StepContext) -> None:
    message_id = book.message(book.account())
    for _ in range(3):
        die_trying(book, context, message_id)

    release(context, message_id)
    with sweeping(context):
        _await(book, message_id, State.DELIVERED)


def test_neighbours_of_a_poison_are_delivered(book: Book, context: StepContext) -> None:
    neighbour, poison = book.message(book.account()), book.message(book.account())
    die_trying(book, context, neighbour, poison)
    die_trying(book, context, poison)
    die_trying(book, context, poison)
    book.let_pass(timedelta(seconds=5))

    with sweeping(context):
        _await(book, neighbour, State.DELIVERED)

    assert [State.ACCEPTED] == book.states(poison)


def test_a_held_message_whose_case_kills_is_set_aside(book: Book, context: StepContext) -> None:
    message_id = book.message(book.account(), subject=HELD_PHRASE)
    decide(context, [message_id])

    for _ in range(3):
        die_trying(book, context, message_id)

    assert ([State.HELD], [Reason.POISONED]) == (book.states(message_id), book.reasons(message_id))


def test_a_held_message_whose_expiry_kills_is_set_aside_and_staff_may_still_decide(
    book: Book, context: StepContext
) -> None:
    message_id = book.message(book.account(), subject=HELD_PHRASE)
    decide(context, [message_id])
    vet(context, [message_id])
    book.let_pass(timedelta(days=30))

    for _ in range(3):
        before = book.reasons(message_id)
        die_trying(book, context, message_id)
    with transaction(book.database) as db:
        due_now = due.expired(db, limit=10)
    after = book.reasons(message_id)
    close_case(context, book.case(message_id).case_id, CaseDecision(CaseState.APPROVED, "staff"))

    assert ([Reason.FLAGGED], [Reason.POISONED], []) == (before, after, due_now)
    assert [State.DELIVERED] == book.states(message_id)


def test_a_held_message_that_waits_for_staff_is_not_counted_for_a_death(book: Book, context: StepContext) -> None:
    message_id = book.message(book.account(), subject=HELD_PHRASE)
    decide(context, [message_id])
    vet(context, [message_id])

    die_trying(book, context, message_id)

    assert [(0,)] == [tuple(row) for row in book.ask("SELECT deaths FROM message")]


def test_every_round_over_whole_messages_is_noted_and_what_is_held_is_worked_on_alone() -> None:
    rounds = [each for queue in SWEEP_QUERIES.values() for each in queue if each.step.postpone is due.postpone_messages]

    assert {DECIDE, VET, EXPIRE_REVIEWS} == {each.step for each in rounds if each.is_noted}
    assert [] == [each for each in rounds if not each.is_noted]
    assert {1} == {each.size for each in rounds if each.step in {VET, EXPIRE_REVIEWS}}


def test_a_death_after_the_decision_counts_against_nobody(book: Book, context: StepContext) -> None:
    message_id = book.message(book.account(Channel.EMAIL))
    decide(context, [message_id])

    die_trying(book, context, message_id)

    assert [(0,)] == [tuple(row) for row in book.ask("SELECT deaths FROM message")]


def test_a_sweep_that_survives_takes_its_note_back(book: Book, context: StepContext) -> None:
    message_id = book.message(book.account())
    with transaction(book.database) as db:
        registry.heartbeat(db, WorkerIdentity(context.worker_id, "here", 1, ("decide",)))
    book.let_pass(timedelta(seconds=5))

    with sweeping(context):
        _await(book, message_id, State.DELIVERED)

    assert [([],)] == [tuple(row) for row in book.ask("SELECT trying FROM worker")]


def _await(book: Book, message_id: UUID, state: State) -> None:
    wait_until(lambda: {state} == set(book.states(message_id)))
