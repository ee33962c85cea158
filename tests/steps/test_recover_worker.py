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
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell, RecordingSender, RungBell
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
def enrolled(fixtures: Fixtures) -> None:
    """Let the dead worker be known."""
    enroll(fixtures)


def enroll(fixtures: Fixtures) -> None:
    """Let the dead worker be known, as if it lived."""
    with transaction(fixtures.database) as db:
        registry.heartbeat(db, WorkerIdentity(DEAD, "here", 1, ("decide",)))


def claim_by_the_dead(fixtures: Fixtures, message_id: UUID) -> tuple[int, int]:
    """Let the dead worker claim the only recipient of a message."""
    (letter,) = claim(fixtures, message_id, claims.make_token(DEAD), is_isolated=True)
    return letter.recipient_id, letter.attempt


def die_trying(fixtures: Fixtures, context: StepContext, *message_ids: UUID) -> None:
    """Let a sweep begin to work on these and die of it."""
    enroll(fixtures)
    with transaction(fixtures.database) as db:
        deaths.begin_trying(db, DEAD, message_ids)
    recover_worker(context, DEAD)


def test_without_a_journal_nobody_knows_and_it_is_resent_after_the_send_deadline(
    fixtures: Fixtures, context: StepContext, queued: UUID
) -> None:
    claim_by_the_dead(fixtures, queued)

    recover_worker(context, DEAD)

    recipient = fixtures.recipient(queued)
    assert (State.UNKNOWN, Reason.INTERRUPTED) == (recipient.state, recipient.reason)
    assert recipient.due_at is not None
    assert recipient.due_at - recipient.changed_at > timedelta(seconds=299)


@pytest.mark.usefixtures("notes")
def test_what_never_reached_the_dot_is_tried_again_at_once_without_a_flag(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, bells: RecordingDoorbell, queued: UUID
) -> None:
    recipient_id, _ = claim_by_the_dead(fixtures, queued)
    bells.rung.clear()

    recover_worker(context, DEAD)
    rung = list(bells.rung)
    deliver(context, [recipient_id])

    assert [RungBell(StepName.DELIVER, QueueName.DELIVER_SMTP, (recipient_id,))] == rung
    recipient = fixtures.recipient(queued)
    assert (State.DELIVERED, 2, False) == (recipient.state, recipient.attempt, recipient.possibly_duplicated)
    assert 1 == len(relay.letters)


def test_what_died_between_the_dot_and_its_answer_is_of_unknown_outcome(
    fixtures: Fixtures, context: StepContext, notes: FileJournal, queued: UUID
) -> None:
    notes.record_data_end(claim_by_the_dead(fixtures, queued))

    recover_worker(context, DEAD)

    assert [State.UNKNOWN] == fixtures.states(queued)


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
    fixtures: Fixtures,
    context: StepContext,
    notes: FileJournal,
    queued: UUID,
    code: int,
    state: State,
    reason: Reason | None,
) -> None:
    entry = claim_by_the_dead(fixtures, queued)
    notes.record_data_end(entry)
    notes.record_reply(entry, code)

    recover_worker(context, DEAD)

    assert (state, reason) == (fixtures.recipient(queued).state, fixtures.recipient(queued).reason)


@pytest.mark.usefixtures("notes")
def test_attempts_of_the_living_are_left_alone(fixtures: Fixtures, context: StepContext, queued: UUID) -> None:
    claim(fixtures, queued, claims.make_token(uuid4()))

    recover_worker(context, DEAD)

    assert [State.CLAIMED] == fixtures.states(queued)


@pytest.mark.usefixtures("notes")
def test_a_late_outcome_of_the_dead_is_fenced(fixtures: Fixtures, context: StepContext, queued: UUID) -> None:
    (late,) = claim(fixtures, queued, claims.make_token(DEAD))
    recover_worker(context, DEAD)

    assert set() == record(fixtures, late.attempted, Outcome(OutcomeKind.SENT))
    assert [State.RETRYING] == fixtures.states(queued)


@pytest.mark.usefixtures("notes")
def test_a_recipient_that_three_workers_died_of_is_set_aside_and_no_bell_brings_it_back(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    for _ in range(3):
        before = fixtures.states(queued)
        claim_by_the_dead(fixtures, queued)
        recover_worker(context, DEAD)
        recover_worker(context, DEAD)
    fixtures.let_pass(timedelta(days=30))

    deliver(context, fixtures.recipient_ids(queued))

    assert ([State.RETRYING], [State.RETRYING]) == (before, fixtures.states(queued))
    assert ([], Reason.POISONED, 3) == (
        relay.letters,
        fixtures.recipient(queued).reason,
        fixtures.recipient(queued).attempt,
    )


def test_what_was_set_aside_is_sent_after_its_release_and_says_that_a_copy_may_exist(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    for _ in range(3):
        claim_by_the_dead(fixtures, queued)
        recover_worker(context, DEAD)
        fixtures.let_pass(timedelta(minutes=5))

    released = release(context, queued)
    deliver(context, fixtures.recipient_ids(queued))

    assert (1, 1, True) == (released, len(relay.letters), fixtures.recipient(queued).possibly_duplicated)
    assert [State.DELIVERED] == fixtures.states(queued)


def test_a_message_that_three_sweeps_died_of_is_set_aside_and_no_bell_brings_it_back(
    fixtures: Fixtures, context: StepContext
) -> None:
    message_id = fixtures.message(fixtures.account(), fixtures.account())

    for _ in range(3):
        before = fixtures.reasons(message_id)
        die_trying(fixtures, context, message_id)
    decide(context, [message_id])

    assert [None] * 2 == before
    assert ([State.ACCEPTED] * 2, [Reason.POISONED] * 2) == (fixtures.states(message_id), fixtures.reasons(message_id))


def test_a_message_is_decided_after_its_release(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account())
    for _ in range(3):
        die_trying(fixtures, context, message_id)

    release(context, message_id)
    with sweeping(context):
        _await(fixtures, message_id, State.DELIVERED)


def test_neighbours_of_a_poison_are_delivered(fixtures: Fixtures, context: StepContext) -> None:
    neighbour, poison = fixtures.message(fixtures.account()), fixtures.message(fixtures.account())
    die_trying(fixtures, context, neighbour, poison)
    die_trying(fixtures, context, poison)
    die_trying(fixtures, context, poison)
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        _await(fixtures, neighbour, State.DELIVERED)

    assert [State.ACCEPTED] == fixtures.states(poison)


def test_a_held_message_whose_case_kills_is_set_aside(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [message_id])

    for _ in range(3):
        die_trying(fixtures, context, message_id)

    assert ([State.HELD], [Reason.POISONED]) == (fixtures.states(message_id), fixtures.reasons(message_id))


def test_a_held_message_whose_expiry_kills_is_set_aside_and_staff_may_still_decide(
    fixtures: Fixtures, context: StepContext
) -> None:
    message_id = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [message_id])
    vet(context, [message_id])
    fixtures.let_pass(timedelta(days=30))

    for _ in range(3):
        before = fixtures.reasons(message_id)
        die_trying(fixtures, context, message_id)
    with transaction(fixtures.database) as db:
        due_now = due.expired(db, limit=10)
    after = fixtures.reasons(message_id)
    close_case(context, fixtures.case(message_id).case_id, CaseDecision(CaseState.APPROVED, "staff"))

    assert ([Reason.FLAGGED], [Reason.POISONED], []) == (before, after, due_now)
    assert [State.DELIVERED] == fixtures.states(message_id)


def test_a_held_message_that_waits_for_staff_is_not_counted_for_a_death(
    fixtures: Fixtures, context: StepContext
) -> None:
    message_id = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [message_id])
    vet(context, [message_id])

    die_trying(fixtures, context, message_id)

    assert [(0,)] == [tuple(row) for row in fixtures.ask("SELECT deaths FROM message")]


def test_every_round_over_whole_messages_is_noted_and_what_is_held_is_worked_on_alone() -> None:
    rounds = [each for queue in SWEEP_QUERIES.values() for each in queue if each.step.postpone is due.postpone_messages]

    assert {DECIDE, VET, EXPIRE_REVIEWS} == {each.step for each in rounds if each.is_noted}
    assert [] == [each for each in rounds if not each.is_noted]
    assert {1} == {each.size for each in rounds if each.step in {VET, EXPIRE_REVIEWS}}


def test_a_death_after_the_decision_counts_against_nobody(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])

    die_trying(fixtures, context, message_id)

    assert [(0,)] == [tuple(row) for row in fixtures.ask("SELECT deaths FROM message")]


def test_a_sweep_that_survives_takes_its_note_back(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account())
    with transaction(fixtures.database) as db:
        registry.heartbeat(db, WorkerIdentity(context.worker_id, "here", 1, ("decide",)))
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        _await(fixtures, message_id, State.DELIVERED)

    assert [([],)] == [tuple(row) for row in fixtures.ask("SELECT trying FROM worker")]


def _await(fixtures: Fixtures, message_id: UUID, state: State) -> None:
    wait_until(lambda: {state} == set(fixtures.states(message_id)))
