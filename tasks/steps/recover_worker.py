"""End the attempts of a dead worker, without waiting for their leases."""

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
    """End the attempts of this dead worker by its journal, and count the crash against what it worked on.

    Without its journal on this host it is unknown whether a mail arrived; `entries` is None then.
    Safe to run twice: an attempt that has ended stays as it is, and each crash is counted once.
    """
    entries = attempt_journal.read(attempt_journal.journal_folder(context.settings.journal_folder), worker_id)
    with transaction(context.database) as db:
        under_way = claims.under_way(db, worker_id)
        blamed = blame(under_way)
        ends = [
            _end_attempt(context, each, crashes + (each.recipient_id in blamed), entries) for each, crashes in under_way
        ]
        ended = transitions.apply_transitions(db, ends)
        claims.count_deaths(db, ended & blamed)
    # In a transaction of its own: messages are locked in the order of their ids.
    with transaction(context.database) as db:
        parked = deaths.mark_dead(db, worker_id)
    _ring(context, [each for each in ends if each.recipient_id in ended])
    _log_recovery(worker_id, ends, parked)


def _end_attempt(context: StepContext, attempt: Attempt, crashes: int, entries: JournalEntries | None) -> Transition:
    outcome = apply_unknown_policy(after_death(attempt, entries, deaths=crashes), context.settings)
    return next_transition(attempt, outcome, context.jitter(), patience=context.settings.send_deadline)


def _ring(context: StepContext, ended: Sequence[Transition]) -> None:
    """Ring for the recipients that may be tried again at once."""
    ready = [each.recipient_id for each in ended if each.after is State.RETRYING and not each.due_in]
    for queue_name in DELIVERY_QUEUES.values():  # A bell for a recipient of another channel claims nothing.
        context.doorbell.ring(StepName.DELIVER, queue_name, ready)


def _log_recovery(worker_id: UUID, ends: Sequence[Transition], parked: set[UUID]) -> None:
    _log.warning("worker_buried", worker_id=str(worker_id), attempts=len(ends))
    poisoned = sorted({each.message_id for each in ends if each.reason is Reason.POISONED} | parked)
    if poisoned:
        _log.error("poison_set_aside", message_ids=[str(each) for each in poisoned], what_now="postroom release")
