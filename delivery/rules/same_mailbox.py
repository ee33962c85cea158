"""Several accounts with one address among the recipients of a message: one mail reaches them all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.preferences import LONGEST_WAIT, fold_sender
from delivery.rules.states import OPEN_STATES
from delivery.rules.transitions import PendingRecipient, Transition
from delivery.vocabulary import Channel, Reason, State

FOLLOW_IN = timedelta(seconds=3)
"""When a recipient looks what became of the mail to another one with its address, and again after that one is due."""

ASKING_REASONS = frozenset({Reason.SAME_MAILBOX, Reason.QUIET_HOURS})
"""For these reasons a recipient waited while a mail of its message may have reached its address."""

_OF_THE_MAILBOX = frozenset({Reason.MAILBOX_REFUSED, Reason.NOT_EXPRESSIBLE, Reason.GAVE_UP})


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another recipient of the same message by e-mail, with its address as it is now."""

    recipient_id: int
    address: str
    state: State
    reason: Reason | None
    due_at: datetime | None


def let_follow(decided: Sequence[Transition], pending: Iterable[PendingRecipient]) -> list[Transition]:
    """Return these transitions; of queued recipients with one address in one message, all but the first wait for it."""
    queued = [each for each in decided if each.after is State.QUEUED and each.channel is Channel.EMAIL]
    if len(queued) < 2:
        return list(decided)
    addresses = {each.recipient_id: each.address for each in pending}
    first: dict[tuple[UUID, str], int] = {}
    for each in queued:
        first.setdefault((each.message_id, fold_sender(addresses[each.recipient_id])), each.recipient_id)
    if len(first) == len(queued):
        return list(decided)
    followers = {each.recipient_id for each in queued} - set(first.values())
    return [_follower(each) if each.recipient_id in followers else each for each in decided]


def _follower(queued: Transition) -> Transition:
    return replace(queued, after=State.RETRYING, reason=Reason.SAME_MAILBOX, due_in=FOLLOW_IN)


def follow(recipient_id: int, address: str, siblings: Iterable[Sibling], now: datetime) -> Outcome | None:
    """Return how an attempt ends because of the mails to others with this address; None when it needs its own mail.

    A recipient waits for those that were stored before it, so that of several only one is tried at a time.
    """
    mailbox = fold_sender(address)
    same = [each for each in siblings if fold_sender(each.address) == mailbox]
    if any(each.state is State.DELIVERED for each in same):
        return Outcome(OutcomeKind.SENT, Reason.SAME_MAILBOX, channel=Channel.EMAIL)
    for each in same:
        if each.state is State.FAILED and each.reason in _OF_THE_MAILBOX:
            return Outcome(OutcomeKind.PERMANENT, each.reason)
        if each.recipient_id < recipient_id and each.state in OPEN_STATES:
            wait = max(each.due_at - now, timedelta()) if each.due_at else timedelta()
            due_in = min(wait + FOLLOW_IN, LONGEST_WAIT)
            return Outcome(OutcomeKind.DEFERRED, Reason.SAME_MAILBOX, due_in=due_in)
    return None
