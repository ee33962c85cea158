"""Lapse: end the attempts whose lease ran out, so that another may follow."""

from collections.abc import Sequence

from delivery.records import claims, moves
from delivery.records.engine import transaction
from delivery.rules.outcomes import Kind, Outcome, conclude
from delivery.vocabulary import Reason
from tasks.office import Office

_CUT_OFF = Outcome(Kind.UNKNOWN, Reason.INTERRUPTED, "The worker stopped before it could record an outcome.")


def lapse(office: Office, recipient_ids: Sequence[int]) -> None:
    """Record that nobody knows how these attempts ended; a late outcome of theirs is fenced out from now on."""
    with transaction(office.store) as db:
        attempts = claims.lapsed(db, recipient_ids)
        moves.record(db, [conclude(attempt, _CUT_OFF, office.chance()) for attempt in attempts])
