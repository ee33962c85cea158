"""Attempts of a dead worker end at once, as its journal shows; a recipient that crashes workers is parked."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from delivery.attempt_journal import FileJournal
from delivery.records.pipeline import claims
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.worker_deaths import LOST_HOST_WAIT
from delivery.vocabulary import QueueName, Reason, State, StepName
from tasks.context import StepContext
from tasks.steps.deliver import deliver
from tasks.steps.recover_worker import recover_worker
from tasks.steps.release import release
from tests.support.attempts import claim, record
from tests.support.dead_worker import DEAD_WORKER, open_journal, recovering_context
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell, RecordingSender, RungBell


@pytest.fixture
def context(context: StepContext, tmp_path: Path) -> StepContext:
    """Return a context with its journals in a folder of this test, and a sweep that rests 20 ms."""
    return recovering_context(context, tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FileJournal]:
    """Yield the journal of the dead worker."""
    with open_journal(tmp_path) as journal:
        yield journal


def claim_by_dead_worker(fixtures: Fixtures, message_id: UUID) -> tuple[int, int]:
    """Claim the only recipient of a message as the dead worker, and return its id and attempt."""
    (claimed,) = claim(fixtures, message_id, claims.make_token(DEAD_WORKER), is_isolated=True)
    return claimed.recipient_id, claimed.attempt


def test_without_a_journal_the_outcome_is_unknown_and_the_mail_resent_soon(
    fixtures: Fixtures, context: StepContext, queued: UUID
) -> None:
    claim_by_dead_worker(fixtures, queued)

    recover_worker(context, DEAD_WORKER)

    recipient = fixtures.recipient(queued)
    assert (State.UNKNOWN, Reason.INTERRUPTED) == (recipient.state, recipient.reason)
    assert recipient.due_at is not None
    assert abs(recipient.due_at - recipient.changed_at - LOST_HOST_WAIT) < timedelta(seconds=5)


@pytest.mark.usefixtures("journal")
def test_an_attempt_before_the_end_of_data_is_repeated_at_once_without_a_flag(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, bells: RecordingDoorbell, queued: UUID
) -> None:
    recipient_id, _ = claim_by_dead_worker(fixtures, queued)
    bells.rung.clear()

    recover_worker(context, DEAD_WORKER)
    rung = list(bells.rung)
    deliver(context, [recipient_id])

    assert [RungBell(StepName.DELIVER, QueueName.DELIVER_SMTP, (recipient_id,))] == rung
    recipient = fixtures.recipient(queued)
    assert (State.DELIVERED, 2, False) == (recipient.state, recipient.attempt, recipient.possibly_duplicated)
    assert 1 == len(relay.letters)


def test_an_attempt_between_the_end_of_data_and_its_reply_has_an_unknown_outcome(
    fixtures: Fixtures, context: StepContext, journal: FileJournal, queued: UUID
) -> None:
    journal.record_data_end(claim_by_dead_worker(fixtures, queued))

    recover_worker(context, DEAD_WORKER)

    assert [State.UNKNOWN] == fixtures.states(queued)


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (250, State.DELIVERED, None),
        # Its text was lost with the worker, and it may be about us: the next attempt brings it.
        (550, State.RETRYING, Reason.TRY_LATER),
        (552, State.RETRYING, Reason.TRY_LATER),
        (451, State.RETRYING, Reason.TRY_LATER),
        (-1, State.UNKNOWN, Reason.INTERRUPTED),
    ],
)
def test_a_reply_in_the_journal_is_the_outcome(  # noqa: PLR0917 - pytest hands them in by name
    fixtures: Fixtures,
    context: StepContext,
    journal: FileJournal,
    queued: UUID,
    code: int,
    state: State,
    reason: Reason | None,
) -> None:
    entry = claim_by_dead_worker(fixtures, queued)
    journal.record_data_end(entry)
    journal.record_reply(entry, code)

    recover_worker(context, DEAD_WORKER)

    assert (state, reason) == (fixtures.recipient(queued).state, fixtures.recipient(queued).reason)


@pytest.mark.usefixtures("journal")
def test_attempts_of_live_workers_are_not_changed(fixtures: Fixtures, context: StepContext, queued: UUID) -> None:
    claim(fixtures, queued, claims.make_token(uuid4()))

    recover_worker(context, DEAD_WORKER)

    assert [State.CLAIMED] == fixtures.states(queued)


@pytest.mark.usefixtures("journal")
def test_a_late_outcome_of_a_dead_worker_is_fenced(fixtures: Fixtures, context: StepContext, queued: UUID) -> None:
    (late,) = claim(fixtures, queued, claims.make_token(DEAD_WORKER))
    recover_worker(context, DEAD_WORKER)

    assert set() == record(fixtures, late.as_attempt, Outcome(OutcomeKind.SENT))
    assert [State.RETRYING] == fixtures.states(queued)


@pytest.mark.usefixtures("journal")
def test_a_recipient_that_three_workers_crashed_on_is_parked_and_no_bell_sends_it(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    for _ in range(3):
        before_the_third = fixtures.states(queued)
        claim_by_dead_worker(fixtures, queued)
        recover_worker(context, DEAD_WORKER)
        recover_worker(context, DEAD_WORKER)
    fixtures.let_pass(timedelta(days=30))

    deliver(context, fixtures.recipient_ids(queued))

    assert ([State.RETRYING], [State.RETRYING]) == (before_the_third, fixtures.states(queued))
    assert ([], Reason.POISONED, 3) == (
        relay.letters,
        fixtures.recipient(queued).reason,
        fixtures.recipient(queued).attempt,
    )


def test_a_parked_recipient_is_sent_after_its_release_and_flagged_as_possibly_duplicated(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    for _ in range(3):
        claim_by_dead_worker(fixtures, queued)
        recover_worker(context, DEAD_WORKER)
        fixtures.let_pass(timedelta(minutes=5))

    released = release(context, queued)
    deliver(context, fixtures.recipient_ids(queued))

    assert (1, 1, True) == (released, len(relay.letters), fixtures.recipient(queued).possibly_duplicated)
    assert [State.DELIVERED] == fixtures.states(queued)
