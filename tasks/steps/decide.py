"""Apply the vetting rules and every recipient's preferences to fresh messages, and record where each recipient goes."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import transaction
from delivery.records.pipeline import candidates, transitions
from delivery.records.pipeline.transitions import DecidedMessage
from delivery.rules.same_mailbox import let_follow
from delivery.rules.transitions import PendingRecipient, Transition, decide_recipient
from delivery.vocabulary import QueueName, State, StepName
from tasks.broker.doorbell import ring_for_deliveries
from tasks.context import StepContext
from tasks.rule_application import MessageVerdict, apply_rules

# A bell may bring 500 messages with 25 recipients each. Recipients of so many messages, and about so many recipients,
# are in memory at once: with all of them a worker grew by 11 MiB more. PostgreSQL searches a list of ids linearly, so
# shorter lists cost less.
AT_ONCE = 100
_RECIPIENTS_AT_ONCE = 1000
_ONWARD = frozenset({State.QUEUED, State.HELD})


def decide(context: StepContext, message_ids: Sequence[UUID]) -> None:
    """Decide every recipient of these messages; inbox letters are delivered in the same transaction.

    Safe to run twice: a message that is decided, or being decided by another worker, is skipped.
    """
    onward: list[Transition] = []
    vetting_ids: dict[UUID, UUID] = {}
    with transaction(context.database) as db:
        contents = candidates.lock_undecided(db, message_ids)
        crash_here(CrashPoint.DECIDE_LOCKED)
        for portion in _portions(contents):
            waiting = candidates.candidates(db, [content.message_id for content in portion], State.ACCEPTED)
            judged = apply_rules(context, db, portion)
            changes = apply_verdicts(context, judged, waiting)
            vetting_ids |= _vetting_ids(changes)
            transitions.apply_decisions(db, [_decided(each, vetting_ids) for each in judged.values()], changes)
            crash_here(CrashPoint.DECIDE_MOVED)
            onward += [each for each in changes if each.after in _ONWARD]
        crash_here(CrashPoint.DECIDE_WRITTEN)
    crash_here(CrashPoint.DECIDE_COMMITTED)
    ring_for_deliveries(context.doorbell, onward)
    context.doorbell.ring(StepName.VET, QueueName.VETTING, list(vetting_ids))
    crash_here(CrashPoint.DECIDE_RUNG)


def _portions(contents: Sequence[candidates.Content]) -> Iterator[Sequence[candidates.Content]]:
    portion: list[candidates.Content] = []
    recipients = 0
    for content in contents:
        if portion and (len(portion) == AT_ONCE or recipients + content.recipient_count > _RECIPIENTS_AT_ONCE):
            yield portion
            portion, recipients = [], 0
        portion.append(content)
        recipients += content.recipient_count
    if portion:
        yield portion


def apply_verdicts(
    context: StepContext, judged: Mapping[UUID, MessageVerdict], waiting: Sequence[PendingRecipient]
) -> list[Transition]:
    """Return where each of these waiting recipients goes, by the verdict on its message, its preferences and limits."""
    grace = context.settings.grace
    decided = [
        decide_recipient(pending, verdict=judged[pending.message_id].verdict, grace=grace) for pending in waiting
    ]
    return context.recipient_limits.defer_inboxes(let_follow(decided, waiting), waiting)


def _decided(judged: MessageVerdict, vetting_ids: Mapping[UUID, UUID]) -> DecidedMessage:
    return DecidedMessage(judged.message_id, vetting_ids.get(judged.message_id), judged.rule_set, judged.text_key)


def _vetting_ids(changes: Sequence[Transition]) -> dict[UUID, UUID]:
    """Return for each message with a held recipient the id of the case that will be opened for it."""
    return {each: uuid7() for each in dict.fromkeys(each.message_id for each in changes if each.after is State.HELD)}
