"""The transition of a recipient when its message is decided."""

from datetime import time, timedelta

import pytest

from delivery.rules.preferences import DeliveryPreferences
from delivery.rules.quiet_hours import QuietHours
from delivery.rules.transitions import PendingRecipient, Transition, decide_recipient, refuse
from delivery.vocabulary import AccountStatus, Channel, Reason, RuleVerdict, State
from tests.support import build

GRACE = timedelta(seconds=5)
CLOSED = DeliveryPreferences(is_closed=True)
NOTHING = DeliveryPreferences(accepted_types=frozenset())
SUSPENDED = DeliveryPreferences(account_status=AccountStatus.SUSPENDED)
BY_EMAIL = DeliveryPreferences(channel=Channel.EMAIL)
QUIET = Reason.QUIET_HOURS
SIESTA = QuietHours(time(11), time(14))  # It is noon in all of these.
ASLEEP = DeliveryPreferences(quiet_hours=SIESTA)
ASLEEP_BY_EMAIL = DeliveryPreferences(channel=Channel.EMAIL, quiet_hours=SIESTA)


@pytest.mark.parametrize(
    ("preference", "hold", "after", "channel", "reason", "due_in"),
    [
        (DeliveryPreferences(), False, State.DELIVERED, Channel.INBOX, None, None),
        (BY_EMAIL, False, State.QUEUED, Channel.EMAIL, None, GRACE),
        (DeliveryPreferences(), True, State.HELD, None, Reason.FLAGGED, GRACE),
        (BY_EMAIL, True, State.HELD, None, Reason.FLAGGED, GRACE),
        (CLOSED, False, State.BLOCKED, None, Reason.CLOSED_TO_EVERYBODY, None),
        (CLOSED, True, State.BLOCKED, None, Reason.CLOSED_TO_EVERYBODY, None),
        (NOTHING, True, State.BLOCKED, None, Reason.TYPE_NOT_ACCEPTED, None),
        (SUSPENDED, True, State.FAILED, None, Reason.ACCOUNT_UNAVAILABLE, None),
        (ASLEEP, False, State.RETRYING, Channel.INBOX, Reason.QUIET_HOURS, timedelta(hours=2)),
        (ASLEEP_BY_EMAIL, False, State.RETRYING, Channel.EMAIL, Reason.QUIET_HOURS, timedelta(hours=2)),
        (ASLEEP, True, State.HELD, None, Reason.FLAGGED, GRACE),
    ],
)
def test_preferences_come_before_vetting_and_vetting_before_delivery(  # noqa: PLR0917 - the columns of a table
    preference: DeliveryPreferences,
    hold: bool,  # noqa: FBT001 - a column of a table
    after: State,
    channel: Channel | None,
    reason: Reason | None,
    due_in: timedelta | None,
) -> None:
    pending = build.pending(preference=preference)

    transition = decide_recipient(pending, verdict=RuleVerdict.HOLD if hold else RuleVerdict.PASS, grace=GRACE)

    assert expected_transition(pending, after, channel=channel, reason=reason, due_in=due_in) == transition


def test_an_approved_recipient_has_its_preferences_checked_again() -> None:
    pending = build.pending(State.HELD, preference=CLOSED)

    transition = decide_recipient(pending, verdict=RuleVerdict.PASS, grace=GRACE)

    assert expected_transition(pending, State.BLOCKED, reason=Reason.CLOSED_TO_EVERYBODY) == transition


def test_an_approved_recipient_in_its_quiet_hours_waits_for_their_end() -> None:
    pending = build.pending(State.HELD, preference=ASLEEP)

    transition = decide_recipient(pending, verdict=RuleVerdict.PASS, grace=GRACE)

    due_in = timedelta(hours=2)
    expected = expected_transition(pending, State.RETRYING, channel=Channel.INBOX, reason=QUIET, due_in=due_in)
    assert expected == transition


def test_a_held_recipient_cannot_be_held_again() -> None:
    with pytest.raises(ValueError, match="may not go from held to held"):
        decide_recipient(build.pending(State.HELD), verdict=RuleVerdict.HOLD, grace=GRACE)


def test_a_refusal_refuses_all_recipients_for_one_reason() -> None:
    held = [build.pending(State.HELD), build.pending(State.HELD, preference=BY_EMAIL)]

    transitions = refuse(held, Reason.REFUSED_BY_STAFF)

    assert [expected_transition(each, State.REFUSED, reason=Reason.REFUSED_BY_STAFF) for each in held] == transitions


def expected_transition(
    pending: PendingRecipient,
    after: State,
    *,
    channel: Channel | None = None,
    reason: Reason | None = None,
    due_in: timedelta | None = None,
) -> Transition:
    """Make a whole transition, so that every field of it is compared."""
    ids = pending.recipient_id, pending.message_id
    return Transition(*ids, pending.state, after, pending.attempt, channel, reason, None, due_in)
