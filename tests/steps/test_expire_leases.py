"""An expired lease makes the outcome unknown, allows another attempt, and fences a late outcome."""

from datetime import timedelta
from uuid import UUID

from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.retry import SCHEDULE
from delivery.vocabulary import Reason, State
from tasks.context import StepContext
from tasks.steps.deliver import deliver
from tasks.steps.expire_leases import expire_leases
from tests.support.attempts import LEASE, claim, record
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender


def test_an_attempt_whose_lease_expired_has_an_unknown_outcome(
    fixtures: Fixtures, context: StepContext, queued: UUID
) -> None:
    claim(fixtures, queued)
    fixtures.let_pass(LEASE)

    expire_leases(context, fixtures.recipient_ids(queued))

    recipient = fixtures.recipient(queued)
    assert (State.UNKNOWN, Reason.INTERRUPTED, 1) == (recipient.state, recipient.reason, recipient.attempt)
    assert recipient.due_at is not None
    assert (1, 0, "pending") == fixtures.counters(queued)


def test_an_attempt_within_its_lease_does_not_expire(fixtures: Fixtures, context: StepContext, queued: UUID) -> None:
    claim(fixtures, queued)

    expire_leases(context, fixtures.recipient_ids(queued))

    assert [State.CLAIMED] == fixtures.states(queued)


def test_an_attempt_after_an_unknown_outcome_is_flagged_as_possibly_duplicated(
    fixtures: Fixtures, context: StepContext, queued: UUID
) -> None:
    claim(fixtures, queued)
    fixtures.let_pass(LEASE)
    expire_leases(context, fixtures.recipient_ids(queued))
    fixtures.let_pass(SCHEDULE[0])

    deliver(context, fixtures.recipient_ids(queued))

    recipient = fixtures.recipient(queued)
    assert (State.DELIVERED, 2, True) == (recipient.state, recipient.attempt, recipient.possibly_duplicated)


def test_a_late_outcome_is_fenced_by_the_expired_lease(fixtures: Fixtures, context: StepContext, queued: UUID) -> None:
    (late,) = claim(fixtures, queued)
    fixtures.let_pass(LEASE)
    expire_leases(context, fixtures.recipient_ids(queued))

    assert set() == record(fixtures, late.as_attempt, Outcome(OutcomeKind.SENT))
    assert ([State.UNKNOWN], (1, 0, "pending")) == (fixtures.states(queued), fixtures.counters(queued))


def test_a_late_outcome_is_fenced_by_the_next_attempt(fixtures: Fixtures, context: StepContext, queued: UUID) -> None:
    (late,) = claim(fixtures, queued)
    fixtures.let_pass(LEASE)
    expire_leases(context, fixtures.recipient_ids(queued))
    fixtures.let_pass(SCHEDULE[0])
    (current,) = claim(fixtures, queued)

    assert set() == record(fixtures, late.as_attempt, Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED))
    assert [State.CLAIMED] == fixtures.states(queued)
    assert {current.recipient_id} == record(fixtures, current.as_attempt, Outcome(OutcomeKind.SENT))
    assert (0, 1, "sent") == fixtures.counters(queued)


def test_a_fenced_step_does_not_change_the_row(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    def send(claimed: ClaimedDelivery) -> Outcome:
        fixtures.let_pass(timedelta(days=1))
        expire_leases(context, [claimed.recipient_id])
        return Outcome(OutcomeKind.SENT)

    relay.answer = send

    deliver(context, fixtures.recipient_ids(queued))

    assert ([State.UNKNOWN], (1, 0, "pending")) == (fixtures.states(queued), fixtures.counters(queued))


def test_an_outcome_recorded_twice_counts_once(fixtures: Fixtures, queued: UUID) -> None:
    (claimed,) = claim(fixtures, queued)

    recorded = [record(fixtures, claimed.as_attempt, Outcome(OutcomeKind.SENT)) for _ in range(2)]

    assert [{claimed.recipient_id}, set()] == recorded
    assert (0, 1, "sent") == fixtures.counters(queued)
