"""Decide: look at fresh messages, ask every recipient's preferences, and place each recipient."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import transaction
from delivery.records.pipeline import candidates, transitions
from delivery.rules.transitions import PendingRecipient, Transition, decide_recipient
from delivery.rules.vetting import find_phrases
from delivery.vocabulary import QueueName, State, StepName
from tasks.broker.doorbell import ring_for_deliveries
from tasks.context import StepContext

# A bell may bring 500 messages with 25 recipients each. Those of so many are held in memory at once: with all of them a
# worker grew by 8 MiB more. PostgreSQL looks for a row's id in a list by walking along it, so shorter lists cost less.
AT_ONCE = 100
_HANDED_ON = frozenset({State.QUEUED, State.HELD})


def decide(context: StepContext, message_ids: Sequence[UUID]) -> None:
    """Place every recipient of these messages; inbox letters are delivered in the same transaction."""
    handed_on: list[Transition] = []
    with transaction(context.database) as db:
        contents = candidates.lock_undecided(db, message_ids)
        crash_here(CrashPoint.DECIDE_LOCKED)
        for some in _portions(contents):
            waiting = candidates.candidates(db, [content.message_id for content in some], State.ACCEPTED)
            placed = apply_rules(context, some, waiting)
            transitions.apply_transitions(db, placed)
            handed_on += [move for move in placed if move.after in _HANDED_ON]
        vetting_ids = _vetting_ids(contents, handed_on)
        crash_here(CrashPoint.DECIDE_MOVED)
        candidates.mark_decided(db, vetting_ids)
        crash_here(CrashPoint.DECIDE_WRITTEN)
    crash_here(CrashPoint.DECIDE_COMMITTED)
    ring_for_deliveries(context.doorbell, handed_on)
    held = [message_id for message_id, vetting_id in vetting_ids.items() if vetting_id]
    context.doorbell.ring(StepName.VET, QueueName.VETTING, held)
    crash_here(CrashPoint.DECIDE_RUNG)


def _portions(contents: Sequence[candidates.Content]) -> Iterator[Sequence[candidates.Content]]:
    return (contents[start : start + AT_ONCE] for start in range(0, len(contents), AT_ONCE))


def apply_rules(
    context: StepContext, contents: Sequence[candidates.Content], waiting: Sequence[PendingRecipient]
) -> list[Transition]:
    """Apply the rules to every candidate of these messages."""
    phrases, grace = context.settings.phrases, context.settings.grace
    flagged = {content.message_id for content in contents if find_phrases(content.texts, phrases)}
    return [decide_recipient(pending, hold=pending.message_id in flagged, grace=grace) for pending in waiting]


def _vetting_ids(contents: Sequence[candidates.Content], placed: Sequence[Transition]) -> dict[UUID, UUID | None]:
    """Give every message that has a held recipient the id of the case that will be opened for it."""
    held = {move.message_id for move in placed if move.after is State.HELD}
    return {content.message_id: uuid7() if content.message_id in held else None for content in contents}
