"""Which moves a recipient may make, and what each state counts as (CONTRACT.md section 2)."""

from enum import Enum

from delivery.vocabulary import State


class StateClass(Enum):
    """What a recipient's state counts as when a message's status is reduced."""

    OPEN = "open"
    GOOD = "good"
    BAD = "bad"


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
}
OPEN_STATES = tuple(state for state, weight in STATE_CLASSES.items() if weight is StateClass.OPEN)
# States that a healthy system leaves by itself within moments: the door waits for these, and for no others.
MOVING_STATES = (State.ACCEPTED, State.QUEUED, State.CLAIMED)
# States from which an attempt may be made.
WAITING_STATES = (State.QUEUED, State.RETRYING, State.UNKNOWN)

# Quiet hours put a recipient off before its first attempt.
_DECIDED = frozenset({State.QUEUED, State.RETRYING, State.DELIVERED, State.BLOCKED, State.FAILED})
LEGAL_TRANSITIONS = {
    State.ACCEPTED: _DECIDED | {State.HELD, State.REFUSED},
    State.HELD: _DECIDED | {State.REFUSED},
    State.QUEUED: frozenset({State.CLAIMED}),
    State.CLAIMED: frozenset({State.DELIVERED, State.BLOCKED, State.FAILED, State.RETRYING, State.UNKNOWN}),
    State.RETRYING: frozenset({State.CLAIMED}),
    State.UNKNOWN: frozenset({State.CLAIMED}),
    State.DELIVERED: frozenset[State](),
    State.BLOCKED: frozenset[State](),
    State.FAILED: frozenset[State](),
    State.REFUSED: frozenset[State](),
}


def is_final(state: State) -> bool:
    """Say whether a recipient in this state stays in it for ever."""
    return not LEGAL_TRANSITIONS[state]


def is_legal(before: State, after: State) -> bool:
    """Say whether a recipient may go from the one state to the other."""
    return after in LEGAL_TRANSITIONS[before]
