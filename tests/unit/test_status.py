"""The status of a message ("Statuses" in docs/contract.md), against a second implementation of the contract."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from delivery.rules.states import LEGAL_TRANSITIONS, MOVING_STATES, is_final
from delivery.rules.status import RecipientStatus, Verdict, reduce_status
from delivery.vocabulary import Reason, State, Status, StatusReason
from tests.support import build

# The contract's table: state and reason of a recipient, and its class (0 good, 1 open, 2 bad).
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
    (State.CANCELLED, None): 2,
}
# The first that applies, in the order of the contract.
REJECTIONS = [
    ((State.REFUSED, Reason.EXPIRED_IN_REVIEW), "expired_in_review"),
    ((State.REFUSED, Reason.REFUSED_BY_RULE), "refused_by_rule"),
    ((State.REFUSED, Reason.REFUSED_BY_STAFF), "refused_by_staff"),
    ((State.FAILED, Reason.GAVE_UP), "undeliverable"),
    ((State.BLOCKED, Reason.CLOSED_TO_EVERYBODY), "blocked_by_preferences"),
]
UP_TO_THREE = [kinds for size in (1, 2, 3) for kinds in product(KINDS, repeat=size)]


def expected_of(kinds: Sequence[tuple[State, Reason | None]]) -> tuple[str, str, list[int]]:
    """Return status, reason and the positions of failed recipients by the words of the contract."""
    best = min(KINDS[kind] for kind in kinds)
    bad = [position for position, kind in enumerate(kinds) if KINDS[kind] == 2]
    if best == 0:
        is_complete = all(state == "delivered" for state, _ in kinds)
        return "sent", "delivered" if is_complete else "delivered_in_part", bad
    if best == 1:
        return "pending", "in_review" if ("held", "flagged") in kinds else "in_delivery", bad
    if all(state == "cancelled" for state, _ in kinds):
        return "rejected", "cancelled", []
    return "rejected", next(word for kind, word in REJECTIONS if kind in kinds), []


def test_every_combination_of_up_to_three_recipients_has_the_verdict_of_the_contract() -> None:
    assert 13 + 13**2 + 13**3 == len(UP_TO_THREE)
    assert {state for state, _ in KINDS} == set(State)

    wrong = {}
    for kinds in UP_TO_THREE:
        recipients = [build.standing(*kind, account=build.account_id(index)) for index, kind in enumerate(kinds)]
        verdict = reduce_status(recipients)
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
def test_the_verdict_is_the_one_that_a_reader_of_the_contract_expects(
    states: str, status: Status, reason: StatusReason, failed: tuple[int, ...]
) -> None:
    recipients = build.standings(*map(State, states.split()))

    verdict = reduce_status(recipients)

    assert Verdict(status, reason, tuple(build.account_id(number) for number in failed)) == verdict


def test_a_message_without_recipients_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="at least one recipient"):
        reduce_status([])


any_recipient = st.builds(RecipientStatus, st.uuids(), st.sampled_from(State), st.none() | st.sampled_from(Reason))
any_recipients = st.lists(any_recipient, min_size=1, max_size=25, unique_by=lambda recipient: recipient.account_id)


@given(any_recipients, st.randoms(use_true_random=False))
def test_the_order_of_recipients_does_not_matter(recipients: list[RecipientStatus], chance: object) -> None:
    shuffled = sorted(recipients, key=lambda _: chance.random())  # type: ignore[attr-defined]

    one, other = reduce_status(recipients), reduce_status(shuffled)

    assert (one.status, one.reason, set(one.failed)) == (other.status, other.reason, set(other.failed))


@given(any_recipients)
def test_one_more_recipient_that_is_reached_makes_any_message_sent(recipients: list[RecipientStatus]) -> None:
    verdict = reduce_status([*recipients, build.standing(State.DELIVERED)])

    assert verdict.status is Status.SENT


@given(any_recipients)
def test_failed_recipients_are_named_only_beside_others_that_did_not_fail(recipients: list[RecipientStatus]) -> None:
    bad = {each.account_id for each in recipients if each.state in {"blocked", "failed", "refused", "cancelled"}}

    verdict = reduce_status(recipients)

    assert (bad if len(bad) < len(recipients) else set()) == set(verdict.failed)


@given(any_recipients)
def test_only_the_reason_of_a_refusal_matters(recipients: list[RecipientStatus]) -> None:
    blurred = [
        each if each.state is State.REFUSED else RecipientStatus(each.account_id, each.state, Reason.EXPIRED_IN_REVIEW)
        for each in recipients
    ]

    assert reduce_status(recipients) == reduce_status(blurred)


@given(any_recipients)
def test_a_status_goes_with_the_reasons_of_its_own_only(recipients: list[RecipientStatus]) -> None:
    allowed = {
        Status.SENT: {"delivered", "delivered_in_part"},
        Status.PENDING: {"in_review", "in_delivery"},
        Status.REJECTED: {"cancelled", *(word for _, word in REJECTIONS)},
    }

    verdict = reduce_status(recipients)

    assert verdict.reason in allowed[verdict.status]


@given(any_recipients)
def test_a_message_that_reached_no_recipient_is_rejected_exactly_when_all_are_final(
    recipients: list[RecipientStatus],
) -> None:
    recipients = [each for each in recipients if each.state is not State.DELIVERED]
    assume(recipients)

    possible = [after for each in recipients for after in LEGAL_TRANSITIONS[each.state]]

    assert (not possible) is (reduce_status(recipients).status is Status.REJECTED)


@given(any_recipients, st.data())
def test_no_transition_takes_back_a_sent_message_or_a_failed_recipient(
    recipients: list[RecipientStatus], data: st.DataObject
) -> None:
    unfinished = [position for position, each in enumerate(recipients) if LEGAL_TRANSITIONS[each.state]]
    assume(unfinished)
    position = data.draw(st.sampled_from(unfinished))
    after = data.draw(st.sampled_from(sorted(LEGAL_TRANSITIONS[recipients[position].state])))
    moved = list(recipients)
    moved[position] = RecipientStatus(recipients[position].account_id, after)

    old, new = reduce_status(recipients), reduce_status(moved)

    assert old.status is not Status.SENT or new.status is Status.SENT
    assert set(old.failed) <= set(new.failed) or new.status is Status.REJECTED


@given(any_recipients)
def test_a_recipient_the_api_does_not_wait_for_needs_staff_or_a_later_attempt(
    recipients: list[RecipientStatus],
) -> None:
    others = [each for each in recipients if each.state not in MOVING_STATES]
    assume(others)

    waits_for = {each.state for each in others if not is_final(each.state)}

    assert waits_for <= {State.HELD, State.RETRYING, State.UNKNOWN}
