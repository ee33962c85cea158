"""Bury: end what a dead worker had under way, without waiting for its leases."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from delivery import attempt_journal
from delivery.records.database import transaction
from delivery.records.pipeline import claims, transitions
from delivery.records.workers import deaths
from delivery.rules.outcomes import Attempt, next_transition
from delivery.rules.transitions import Transition
from delivery.rules.worker_deaths import JournalEntries, after_death, blame
from delivery.vocabulary import Reason, State, StepName
from tasks.context import StepContext, apply_unknown_policy
from tasks.queues import DELIVERY_QUEUES

_log = structlog.get_logger()


def recover_worker(context: StepContext, worker_id: UUID) -> None:
    """End the attempts of this dead worker as its journal tells, and count what it died of. Safe to repeat.

    Without its journal on this machine nobody knows whether a mail arrived: `traces` is None then.
    """
    entries = attempt_journal.read(attempt_journal.journal_folder(context.settings.journal_folder), worker_id)
    with transaction(context.database) as db:
        tried = claims.under_way(db, worker_id)
        accused = blame(tried)
        wanted = [
            _conclude(context, each, earlier + (each.recipient_id in accused), entries) for each, earlier in tried
        ]
        ended = transitions.apply_transitions(db, wanted)
        claims.count_deaths(db, ended & accused)
    with transaction(context.database) as db:  # Of its own: messages are locked in the order of their ids.
        parked = deaths.mark_dead(db, worker_id)
    _ring(context, [move for move in wanted if move.recipient_id in ended])
    _log_recovery(worker_id, wanted, parked)


def _conclude(context: StepContext, attempt: Attempt, deaths: int, entries: JournalEntries | None) -> Transition:
    outcome = apply_unknown_policy(after_death(attempt, entries, deaths=deaths), context.settings)
    return next_transition(attempt, outcome, context.jitter(), patience=context.settings.send_deadline)


def _ring(context: StepContext, ended: Sequence[Transition]) -> None:
    """Ring for those that may be tried again at once."""
    ready = [move.recipient_id for move in ended if move.after is State.RETRYING and not move.due_in]
    for queue_name in DELIVERY_QUEUES.values():  # A bell that finds nothing to claim there does nothing.
        context.doorbell.ring(StepName.DELIVER, queue_name, ready)


def _log_recovery(worker_id: UUID, wanted: Sequence[Transition], parked: set[UUID]) -> None:
    _log.warning("worker_buried", worker_id=str(worker_id), attempts=len(wanted))
    poisoned = sorted({move.message_id for move in wanted if move.reason is Reason.POISONED} | parked)
    if poisoned:
        _log.error("poison_set_aside", message_ids=[str(each) for each in poisoned], what_now="postroom release")
