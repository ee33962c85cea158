"""Several recipients of a message with one address: which of them gets the mail, and what follows for the others."""

from datetime import timedelta
from uuid import UUID

import pytest

from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.preferences import DeliveryPreferences
from delivery.rules.same_mailbox import FOLLOW_IN, Sibling, follow, let_follow
from delivery.rules.transitions import decide_recipient
from delivery.vocabulary import Channel, Reason, RuleVerdict, State
from tests.support import build
from tests.support.build import NOON

SAME = Reason.SAME_MAILBOX
REACHED = Outcome(OutcomeKind.SENT, SAME, channel=Channel.EMAIL)
ADDRESS = "ada@example.com"


def sibling(
    state: State, reason: Reason | None = None, *, number: int = 1, address: str = "ADA@example.com"
) -> Sibling:
    """Make another recipient of the message."""
    return Sibling(number, address, state, reason, NOON + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("siblings", "outcome"),
    [
        ([], None),
        ([sibling(State.DELIVERED)], REACHED),
        ([sibling(State.DELIVERED, number=9)], REACHED),
        ([sibling(State.DELIVERED, address="ada+tag@example.com")], None),
        ([sibling(State.BLOCKED, Reason.MUTED)], None),
        ([sibling(State.FAILED, Reason.MAILBOX_REFUSED)], Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED)),
        ([sibling(State.FAILED, Reason.ACCOUNT_UNAVAILABLE)], None),
        (
            [sibling(State.RETRYING, Reason.TRY_LATER)],
            Outcome(OutcomeKind.DEFERRED, SAME, due_in=timedelta(minutes=5) + FOLLOW_IN),
        ),
        ([sibling(State.RETRYING, SAME, number=9)], None),
        ([sibling(State.BLOCKED), sibling(State.CLAIMED, number=2), sibling(State.DELIVERED, number=3)], REACHED),
    ],
)
def test_a_recipient_is_reached_by_the_mail_to_another_or_waits_for_it_or_needs_its_own(
    siblings: list[Sibling], outcome: Outcome | None
) -> None:
    assert outcome == follow(5, ADDRESS, siblings, NOON)


def test_of_the_recipients_with_one_address_the_first_of_each_message_is_queued() -> None:
    by_email = DeliveryPreferences(channel=Channel.EMAIL)
    pending = [
        build.pending(address=address, preference=by_email, message_id=UUID(int=message))
        for message, address in ((1, ADDRESS), (1, "Ada@Example.com"), (1, "bo@example.com"), (2, ADDRESS))
    ]
    decided = [decide_recipient(each, verdict=RuleVerdict.PASS, grace=timedelta(seconds=5)) for each in pending]

    after = let_follow(decided, pending)

    assert [State.QUEUED, State.RETRYING, State.QUEUED, State.QUEUED] == [each.after for each in after]
    assert (SAME, Channel.EMAIL, FOLLOW_IN) == (after[1].reason, after[1].channel, after[1].due_in)
