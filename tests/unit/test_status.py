"""The reduction from recipients to status (CONTRACT.md section 2), against an oracle that is written another way."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from delivery.rules.states import LEGAL_TRANSITIONS, MOVING_STATES, is_final
from delivery.rules.status import RecipientStatus, Verdict, reduce_status
from delivery.vocabulary import Reason, State, Status, StatusReason
from tests.support import build

# The contract's table: what a recipient is, and what it counts as (0 good, 1 open, 2 bad).
KINDS: dict[tuple[State, Reason | None], int] = {
    (State.ACCEPTED, None): 1,
    (State.HELD, Reason.FLAGGED): 1,
    (State.QUEUED, None): 1,
    (State.CLAIMED, None): 1,
    (State.RETRYING, Reason.TRY_LATER): 1,
    (State.UNKNOWN, Reason.INTERRUPTED): 1,
    (State.DELIVERED, None): 0,
    (State.BLOCKED, Reason.CLOSED_TO_EVERYBODY): 2,
    (State.FAILED, Reason.GAVE_UP): 2,
    (State.REFUSED, Reason.REFUSED_BY_STAFF): 2,
    (State.REFUSED, Reason.REFUSED_BY_RULE): 2,
    (State.REFUSED, Reason.EXPIRED_IN_REVIEW): 2,
}
# "The first that applies", in the contract's order.
REJECTIONS = [
    ((State.REFUSED, Reason.EXPIRED_IN_REVIEW), "expired_in_review"),
    ((State.REFUSED, Reason.REFUSED_BY_RULE), "refused_by_rule"),
    ((State.REFUSED, Reason.REFUSED_BY_STAFF), "refused_by_staff"),
    ((State.FAILED, Reason.GAVE_UP), "undeliverable"),
    ((State.BLOCKED, Reason.CLOSED_TO_EVERYBODY), "blocked_by_preferences"),
]
UP_TO_THREE = [kinds for size in (1, 2, 3) for kinds in product(KINDS, repeat=size)]


def expected_of(kinds: Sequence[tuple[State, Reason | None]]) -> tuple[str, str, list[int]]:
    """Read the contract: status, reason and the positions of failed recipients."""
    best = min(KINDS[kind] for kind in kinds)
    bad = [position for position, kind in enumerate(kinds) if KINDS[kind] == 2]
    if best == 0:
        everybody = all(state == "delivered" for state, _ in kinds)
        return "sent", "delivered" if everybody else "delivered_in_part", bad
    if best == 1:
        return "pending", "in_review" if ("held", "flagged") in kinds else "in_delivery", bad
    return "rejected", next(word for kind, word in REJECTIONS if kind in kinds), []


def test_every_combination_of_up_to_three_recipients_has_the_verdict_of_the_contract() -> None:
    assert 12 + 12**2 + 12**3 == len(UP_TO_THREE)
    assert {state for state, _ in KINDS} == set(State)

    wrong = {}
    for kinds in UP_TO_THREE:
        standings = [build.standing(*kind, account=build.account_id(index)) for index, kind in enumerate(kinds)]
        verdict = reduce_status(standings)
        found = verdict.status, verdict.reason, [each.int - build.account_id(0).int for each in verdict.failed]
        if expected_of(kinds) != found:
            wrong[kinds] = found

    assert {} == wrong


@pytest.mark.parametrize(
    ("states", "status", "reason", "failed"),
    [
        ("delivered", Status.SENT, StatusReason.DELIVERED, ()),
        ("delivered delivered", Status.SENT, StatusReason.DELIVERED, ()),
        ("delivered accepted", Status.SENT, StatusReason.DELIVERED_IN_PART, ()),
        ("delivered blocked", Status.SENT, StatusReason.DELIVERED_IN_PART, (1,)),
        ("failed delivered held", Status.SENT, StatusReason.DELIVERED_IN_PART, (0,)),
        ("accepted", Status.PENDING, StatusReason.IN_DELIVERY, ()),
        ("held queued", Status.PENDING, StatusReason.IN_REVIEW, ()),
        ("blocked held failed", Status.PENDING, StatusReason.IN_REVIEW, (0, 2)),
        ("unknown failed", Status.PENDING, StatusReason.IN_DELIVERY, (1,)),
        ("blocked blocked", Status.REJECTED, StatusReason.BLOCKED_BY_PREFERENCES, ()),
        ("blocked failed", Status.REJECTED, StatusReason.UNDELIVERABLE, ()),
    ],
)
def test_the_verdict_is_the_one_a_reader_of_the_contract_expects(
    states: str, status: Status, reason: StatusReason, failed: tuple[int, ...]
) -> None:
    standings = build.standings(*map(State, states.split()))

    verdict = reduce_status(standings)

    assert Verdict(status, reason, tuple(build.account_id(number) for number in failed)) == verdict


def test_a_message_without_recipients_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="at least one recipient"):
        reduce_status([])


any_standing = st.builds(RecipientStatus, st.uuids(), st.sampled_from(State), st.none() | st.sampled_from(Reason))
any_standings = st.lists(any_standing, min_size=1, max_size=25, unique_by=lambda standing: standing.account_id)


@given(any_standings, st.randoms(use_true_random=False))
def test_the_order_of_recipients_does_not_matter(standings: list[RecipientStatus], chance: object) -> None:
    shuffled = sorted(standings, key=lambda _: chance.random())  # type: ignore[attr-defined]

    one, other = reduce_status(standings), reduce_status(shuffled)

    assert (one.status, one.reason, set(one.failed)) == (other.status, other.reason, set(other.failed))


@given(any_standings)
def test_one_more_recipient_who_is_reached_makes_any_message_sent(standings: list[RecipientStatus]) -> None:
    verdict = reduce_status([*standings, build.standing(State.DELIVERED)])

    assert verdict.status is Status.SENT


@given(any_standings)
def test_failed_recipients_are_named_only_beside_others_that_did_not_fail(standings: list[RecipientStatus]) -> None:
    bad = {each.account_id for each in standings if each.state in {"blocked", "failed", "refused"}}

    verdict = reduce_status(standings)

    assert (bad if len(bad) < len(standings) else set()) == set(verdict.failed)


@given(any_standings)
def test_only_the_reason_of_a_refusal_matters(standings: list[RecipientStatus]) -> None:
    blurred = [
        each if each.state is State.REFUSED else RecipientStatus(each.account_id, each.state, Reason.EXPIRED_IN_REVIEW)
        for each in standings
    ]

    assert reduce_status(standings) == reduce_status(blurred)


@given(any_standings)
def test_a_status_goes_with_the_reasons_of_its_own_only(standings: list[RecipientStatus]) -> None:
    allowed = {
        Status.SENT: {"delivered", "delivered_in_part"},
        Status.PENDING: {"in_review", "in_delivery"},
        Status.REJECTED: {word for _, word in REJECTIONS},
    }

    verdict = reduce_status(standings)

    assert verdict.reason in allowed[verdict.status]


@given(any_standings)
def test_a_message_that_reached_nobody_is_rejected_exactly_when_no_recipient_can_move_any_more(
    standings: list[RecipientStatus],
) -> None:
    standings = [each for each in standings if each.state is not State.DELIVERED]
    assume(standings)

    possible = [after for each in standings for after in LEGAL_TRANSITIONS[each.state]]

    assert (not possible) is (reduce_status(standings).status is Status.REJECTED)


@given(any_standings, st.data())
def test_no_move_takes_a_sent_message_back_or_a_failed_recipient_off_the_list(
    standings: list[RecipientStatus], data: st.DataObject
) -> None:
    movable = [position for position, each in enumerate(standings) if LEGAL_TRANSITIONS[each.state]]
    assume(movable)
    position = data.draw(st.sampled_from(movable))
    after = data.draw(st.sampled_from(sorted(LEGAL_TRANSITIONS[standings[position].state])))
    moved = list(standings)
    moved[position] = RecipientStatus(standings[position].account_id, after)

    old, new = reduce_status(standings), reduce_status(moved)

    assert old.status is not Status.SENT or new.status is Status.SENT
    assert set(old.failed) <= set(new.failed) or new.status is Status.REJECTED


@given(any_standings)
def test_a_settled_message_moves_only_by_staff_or_a_later_attempt(standings: list[RecipientStatus]) -> None:
    settled = [each for each in standings if each.state not in MOVING_STATES]
    assume(settled)

    waits_for = {each.state for each in settled if not is_final(each.state)}

    assert waits_for <= {State.HELD, State.RETRYING, State.UNKNOWN}
