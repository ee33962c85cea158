"""What becomes of each recipient once a message is looked at, and once staff let it go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from delivery.rules.moves import is_legal
from delivery.rules.preferences import Preference, choose_channel
from delivery.vocabulary import Channel, MessageType, Reason, State


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recipient before it is placed, with what its account holder wants."""

    recipient_id: int
    message_id: UUID
    state: State
    attempt: int
    preference: Preference


@dataclass(frozen=True, slots=True)
class Move:
    """One recipient's step from one state to the next, guarded by the state and the attempt it started from.

    `due_in` says when the sweep looks at the row next; final states have none.

    Raises `ValueError` for a move that `rules/moves.py` does not allow.
    """

    recipient_id: int
    message_id: UUID
    before: State
    after: State
    attempt: int
    channel: Channel | None = None
    reason: Reason | None = None
    detail: str | None = None
    due_in: timedelta | None = None

    def __post_init__(self) -> None:
        if not is_legal(self.before, self.after):
            raise ValueError(f"Recipient {self.recipient_id} may not go from {self.before} to {self.after}.")


def place(candidate: Candidate, message_type: MessageType, *, hold: bool, grace: timedelta) -> Move:
    """Say where this recipient goes: blocked or failed by its preferences, held, delivered to the inbox, or queued.

    Preferences come before vetting: whom nobody may reach is not held. `grace` is how long the sweep leaves a
    queued or held recipient to the bell.
    """
    choice = choose_channel(message_type, candidate.preference)
    if choice.state is not None:
        return _move(candidate, choice.state, reason=choice.reason)
    if hold:
        return _move(candidate, State.HELD, reason=Reason.FLAGGED, due_in=grace)
    if choice.channel is Channel.INBOX:
        return _move(candidate, State.DELIVERED, channel=Channel.INBOX)
    return _move(candidate, State.QUEUED, channel=choice.channel, due_in=grace)


def refuse(candidates: Sequence[Candidate], reason: Reason) -> list[Move]:
    """Refuse every one of these recipients for one reason."""
    return [_move(candidate, State.REFUSED, reason=reason) for candidate in candidates]


def _move(
    candidate: Candidate,
    after: State,
    *,
    channel: Channel | None = None,
    reason: Reason | None = None,
    due_in: timedelta | None = None,
) -> Move:
    return Move(
        recipient_id=candidate.recipient_id,
        message_id=candidate.message_id,
        before=candidate.state,
        after=after,
        attempt=candidate.attempt,
        channel=channel,
        reason=reason,
        due_in=due_in,
    )
