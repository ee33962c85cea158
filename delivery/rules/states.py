"""The legal transitions of a recipient, and what each state counts as (docs/contract.md, "Statuses")."""

from enum import Enum

from delivery.vocabulary import State


class StateClass(Enum):
    """What a recipient's state counts as when a message's status is computed."""

    OPEN = "open"
    """The recipient may still be reached."""
    GOOD = "good"
    """The recipient was reached."""
    BAD = "bad"
    """The recipient will not be reached."""


STATE_CLASSES = {
    State.ACCEPTED: StateClass.OPEN,
    State.HELD: StateClass.OPEN,
    State.QUEUED: StateClass.OPEN,
    State.CLAIMED: StateClass.OPEN,
    State.RETRYING: StateClass.OPEN,
    State.UNKNOWN: StateClass.OPEN,
    State.DELIVERED: StateClass.GOOD,
    State.BLOCKED: StateClass.BAD,
    State.FAILED: StateClass.BAD,
    State.REFUSED: StateClass.BAD,
    State.CANCELLED: StateClass.BAD,
}
OPEN_STATES = tuple(state for state, state_class in STATE_CLASSES.items() if state_class is StateClass.OPEN)

MOVING_STATES = (State.ACCEPTED, State.QUEUED, State.CLAIMED)
"""States that a healthy system leaves by itself within moments. A waiting POST waits for these and no others."""

WAITING_STATES = (State.QUEUED, State.RETRYING, State.UNKNOWN)
"""States from which an attempt may be made."""

# RETRYING is among them because quiet hours can postpone a recipient before its first attempt.
_DECIDED = frozenset({State.QUEUED, State.RETRYING, State.DELIVERED, State.BLOCKED, State.FAILED})
LEGAL_TRANSITIONS = {
    State.ACCEPTED: _DECIDED | {State.HELD, State.REFUSED, State.CANCELLED},
    State.HELD: _DECIDED | {State.REFUSED, State.CANCELLED},
    State.QUEUED: frozenset({State.CLAIMED, State.CANCELLED}),
    State.CLAIMED: frozenset({State.DELIVERED, State.BLOCKED, State.FAILED, State.RETRYING, State.UNKNOWN}),
    State.RETRYING: frozenset({State.CLAIMED, State.CANCELLED}),
    State.UNKNOWN: frozenset({State.CLAIMED, State.CANCELLED}),
    State.DELIVERED: frozenset[State](),
    State.BLOCKED: frozenset[State](),
    State.FAILED: frozenset[State](),
    State.REFUSED: frozenset[State](),
    State.CANCELLED: frozenset[State](),
}


def is_final(state: State) -> bool:
    """Check whether a recipient in this state stays in it forever."""
    return not LEGAL_TRANSITIONS[state]


def is_legal(before: State, after: State) -> bool:
    """Check whether a recipient may change from one state to the other."""
    return after in LEGAL_TRANSITIONS[before]
