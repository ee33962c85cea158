"""Lapse: end the attempts whose lease ran out, so that another may follow."""

from collections.abc import Sequence

from delivery.records import claims, moves
from delivery.records.engine import transaction
from delivery.rules.outcomes import conclude, cut_off
from tasks.office import Office


def lapse(office: Office, recipient_ids: Sequence[int]) -> None:
    """Record that nobody knows how these attempts ended; a late outcome of theirs is fenced out from now on."""
    with transaction(office.store) as db:
        attempts = claims.lapsed(db, recipient_ids)
        moves.record(db, [conclude(attempt, cut_off(attempt), office.chance()) for attempt in attempts])
