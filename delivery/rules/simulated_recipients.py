"""Simulated recipients: accounts with documented ids, each of which ends in one state, for trying a client."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from delivery.vocabulary import Channel, Reason, State

WAIT = timedelta(seconds=30)
"""After so long a recipient that is tried again is delivered."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What becomes of a simulated recipient when its message is decided, whatever the text and the preferences."""

    name: str
    after: State
    reason: Reason | None = None
    channel: Channel | None = None
    due_in: timedelta | None = None


def _id(number: int) -> UUID:
    return UUID(f"51510000-0000-4000-8000-{number:012d}")


SIMULATED = {
    _id(1): Simulated("delivered", State.DELIVERED, channel=Channel.INBOX),
    _id(2): Simulated("blocked", State.BLOCKED, Reason.CLOSED_TO_EVERYBODY),
    _id(3): Simulated("failed", State.FAILED, Reason.MAILBOX_REFUSED),
    _id(4): Simulated("retrying", State.RETRYING, Reason.TRY_LATER, Channel.INBOX, WAIT),
    _id(5): Simulated("held", State.HELD, Reason.FLAGGED),
    _id(6): Simulated("refused", State.REFUSED, Reason.REFUSED_BY_RULE),
}
"""The simulated recipients by the id of their account."""
