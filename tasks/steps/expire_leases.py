"""End the attempts whose lease has expired, so that another attempt may follow."""

from collections.abc import Sequence

from delivery import attempt_journal
from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import transaction
from delivery.records.pipeline import claims, transitions
from delivery.rules.outcomes import next_transition
from delivery.rules.worker_deaths import after_lease
from tasks.context import StepContext, apply_unknown_policy


def expire_leases(context: StepContext, recipient_ids: Sequence[int]) -> None:
    """Record how these attempts ended, as far as is known. From then on the fence refuses a late outcome of theirs.

    A worker that is alive and cannot reach the database may have recorded the relay's reply in its journal.
    Safe to run twice: an attempt whose lease has not expired, or that has ended, stays as it is.
    """
    folder = attempt_journal.journal_folder(context.settings.journal_folder)
    with transaction(context.database) as db:
        attempts = claims.expired_leases(db, recipient_ids)
        ended = [(each, after_lease(each, attempt_journal.read_by_token(folder, token))) for each, token in attempts]
        transitions.apply_transitions(
            db,
            [
                next_transition(each, apply_unknown_policy(end, context.settings), context.jitter())
                for each, end in ended
            ],
        )
        crash_here(CrashPoint.LEASE_EXPIRY_WRITTEN)
    crash_here(CrashPoint.LEASE_EXPIRY_COMMITTED)
