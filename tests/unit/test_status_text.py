"""The sentences that explain a status to a client."""

import re
from itertools import product

import pytest

from delivery.rules.status import reduce_status
from delivery.rules.status_text import NEUTRAL_REASONS, describe, neutral_reason
from delivery.vocabulary import Reason, State, StatusReason
from tests.support import build

BECAUSE = ", because {}."
A, B, C = (build.account_id(number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        ("delivered", "Delivered to all recipients."),
        ("delivered queued", "Delivered to 1 of 2 recipients; delivery to 1 more is still in progress."),
        (
            "delivered retrying unknown failed",
            "Delivered to 1 of 4 recipients; delivery to 2 more is still in progress. "
            "Warning: the message will not reach 1 recipient" + BECAUSE.format("their address cannot be reached"),
        ),
        ("held", "Pending review by staff."),
        ("accepted", "Accepted; delivery is in progress."),
        ("failed", "Rejected: no recipient could be reached."),
        ("blocked blocked", "Rejected: the preferences of the recipients do not allow this message."),
        (
            "delivered blocked",
            "Delivered to 1 of 2 recipients. Warning: the message will not reach 1 recipient"
            + BECAUSE.format("their preferences do not allow this message"),
        ),
        (
            "held blocked failed",
            "Pending review by staff. Warning: the message will not reach 2 recipients"
            + BECAUSE.format("their preferences do not allow this message or their address cannot be reached"),
        ),
        (
            "delivered refused refused",
            "Delivered to 1 of 3 recipients. Warning: the message will not reach 2 recipients"
            + BECAUSE.format("it was refused in review"),
        ),
    ],
)
def test_the_sentence_explains_status_and_failures(states: str, sentence: str) -> None:
    recipients = build.standings(*map(State, states.split()))

    assert sentence == describe(reduce_status(recipients), recipients)


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (Reason.REFUSED_BY_STAFF, "Rejected by staff."),
        (Reason.REFUSED_BY_RULE, "Rejected by the rules of this platform."),
        (Reason.EXPIRED_IN_REVIEW, "Rejected: staff did not review the message in time."),
    ],
)
def test_the_sentence_of_a_refusal_names_who_refused(reason: Reason, sentence: str) -> None:
    recipients = [build.standing(State.REFUSED, reason)]

    assert sentence == describe(reduce_status(recipients), recipients)


def test_the_sentence_does_not_show_which_recipient_blocked_the_message() -> None:
    for states in product(State, repeat=3):
        one = [build.standing(state, account=account) for state, account in zip(states, (A, B, C), strict=True)]
        other = [build.standing(state, account=account) for state, account in zip(states, (B, C, A), strict=True)]

        sentence = describe(reduce_status(one), one)

        assert sentence == describe(reduce_status(other), other)
        assert not any(str(account) in sentence for account in (A, B, C))


def test_the_sentence_does_not_show_why_a_recipient_blocked_the_message() -> None:
    closed, picky = (
        [build.standing(State.BLOCKED, reason), build.standing(State.DELIVERED)]
        for reason in (Reason.CLOSED_TO_EVERYBODY, Reason.TYPE_NOT_ACCEPTED)
    )

    assert describe(reduce_status(closed), closed) == describe(reduce_status(picky), picky)


def test_every_status_reason_has_a_sentence_that_ends_in_a_full_stop() -> None:
    cases = [build.standings(*states) for states in product(State, repeat=2)]
    cases += [[build.standing(State.REFUSED, reason)] for reason in Reason]

    described = {reduce_status(each).reason: describe(reduce_status(each), each) for each in cases}

    assert set(StatusReason) - {StatusReason.REFUSED_SEND} == set(described)  # That one is of no message.
    assert all(re.fullmatch(r"[^{}]*[^.{}]\.", sentence) for sentence in described.values())


@pytest.mark.parametrize("reason", list(Reason))
def test_no_reason_that_clients_read_tells_who_blocked_whom_or_who_shares_a_mailbox(reason: Reason) -> None:
    shown = neutral_reason(State.BLOCKED, reason)

    assert shown in NEUTRAL_REASONS
    assert not {"closed_to_everybody", "type_not_accepted", "sender_not_wanted", "muted", "same_mailbox"} & {shown}
    assert neutral_reason(State.DELIVERED, reason) is None
