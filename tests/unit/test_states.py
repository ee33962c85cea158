"""Which transitions a recipient may make."""

from itertools import product

import pytest

from delivery.rules.states import (
    LEGAL_TRANSITIONS,
    MOVING_STATES,
    OPEN_STATES,
    STATE_CLASSES,
    WAITING_STATES,
    is_final,
    is_legal,
)
from delivery.rules.transitions import Transition
from delivery.vocabulary import State
from tests.support import build

# Written a second time, so that a transition is added in two places and on purpose.
EXPECTED = {
    "accepted": "held queued retrying delivered blocked failed refused cancelled",
    "held": "queued retrying delivered blocked failed refused cancelled",
    "queued": "claimed cancelled",
    "claimed": "delivered blocked failed retrying unknown",
    "retrying": "claimed cancelled",
    "unknown": "claimed cancelled",
    "delivered": "",
    "blocked": "",
    "failed": "",
    "refused": "",
    "cancelled": "",
}


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_exactly_the_transitions_of_the_table_are_legal_and_can_be_made(before: State, after: State) -> None:
    is_expected = after in EXPECTED[before].split()

    assert is_expected is is_legal(before, after)
    if not is_expected:
        with pytest.raises(ValueError, match="may not go from"):
            Transition(1, build.MESSAGE_ID, before, after, attempt=0)


def test_every_state_has_its_transitions_and_its_class() -> None:
    assert set(State) == set(LEGAL_TRANSITIONS) == set(STATE_CLASSES)


def test_a_state_is_final_exactly_when_it_is_not_open() -> None:
    final = {state for state in State if is_final(state)}

    assert set(State) - set(OPEN_STATES) == final == {"delivered", "blocked", "failed", "refused", "cancelled"}


def test_every_state_is_reached_from_accepted() -> None:
    reached = {State.ACCEPTED}
    for _ in State:
        reached |= {after for before in reached for after in LEGAL_TRANSITIONS[before]}

    assert set(State) == reached


def test_only_a_waiting_recipient_is_claimed() -> None:
    assert set(WAITING_STATES) == {before for before in State if is_legal(before, State.CLAIMED)}


def test_nothing_returns_to_accepted_and_only_accepted_recipients_are_held() -> None:
    returns = [(before, after) for before, after in product(State, (State.ACCEPTED,)) if is_legal(before, after)]

    assert [] == returns
    assert [State.ACCEPTED] == [before for before in State if is_legal(before, State.HELD)]


def test_the_api_waits_for_states_that_end_without_staff_or_a_later_attempt() -> None:
    assert {"accepted", "queued", "claimed"} == set(MOVING_STATES) < set(OPEN_STATES)
