"""Attempts at recipients, step by step: claim them, and record their outcomes."""

from datetime import timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.pipeline import claims, transitions
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Attempt, Outcome, OutcomeKind, next_transition
from delivery.vocabulary import Reason
from tests.support.fixtures import Fixtures

LEASE = timedelta(seconds=60)
LATER = Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, "451 later")
UNKNOWN = Outcome(OutcomeKind.UNKNOWN, Reason.INTERRUPTED)


def claim(
    fixtures: Fixtures, message_id: UUID, token: UUID | None = None, *, is_isolated: bool = False
) -> list[ClaimedDelivery]:
    """Claim what can be claimed of a message."""
    recipient_ids = fixtures.recipient_ids(message_id)
    with transaction(fixtures.database) as db:
        return claims.claim(db, recipient_ids, token=token or uuid7(), lease=LEASE, is_isolated=is_isolated)


def record(fixtures: Fixtures, attempt: Attempt, outcome: Outcome) -> set[int]:
    """Record an outcome, without random delay."""
    with transaction(fixtures.database) as db:
        return transitions.apply_transitions(db, [next_transition(attempt, outcome, 0.0)])
