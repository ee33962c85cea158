"""The channel that follows from an account's preferences, and which of several reasons counts."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from delivery.rules.preferences import ChannelDecision, DeliveryPreferences, SenderContext, choose_channel, fold_sender
from delivery.rules.quiet_hours import QuietHours
from delivery.vocabulary import AccountStatus, Channel, MessageType, Reason, SenderRule, State
from tests.support import build

NOON = build.NOON
JUST_AFTER = NOON + timedelta(microseconds=1)
ALLOW, BLOCK = SenderRule.ALLOW, SenderRule.BLOCK
CLIENT = frozenset({str(build.CLIENT_ID)})
ANNA = frozenset({"anna@mail.example"})
SIESTA = QuietHours(time(11), time(14))

CLOSED = ChannelDecision(None, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY)
TYPE = ChannelDecision(None, State.BLOCKED, Reason.TYPE_NOT_ACCEPTED)
SENDER = ChannelDecision(None, State.BLOCKED, Reason.SENDER_NOT_WANTED)
MUTED = ChannelDecision(None, State.BLOCKED, Reason.MUTED)
GONE = ChannelDecision(None, State.FAILED, Reason.ACCOUNT_UNAVAILABLE)
INBOX = ChannelDecision(Channel.INBOX)


def sender(email: str | None = "Anna@Mail.example", type: MessageType = MessageType.OTHER) -> SenderContext:  # noqa: A002 - the word of the vocabulary
    """Make the sender of a message."""
    return SenderContext(type, build.CLIENT_ID, email)


def later(hours: float, channel: Channel = Channel.INBOX) -> ChannelDecision:
    """Make the decision to wait so many hours for the end of quiet hours."""
    return ChannelDecision(channel, State.RETRYING, Reason.QUIET_HOURS, timedelta(hours=hours))


@pytest.mark.parametrize(
    ("preference", "expected"),
    [
        (DeliveryPreferences(), INBOX),
        (DeliveryPreferences(channel=Channel.EMAIL), ChannelDecision(Channel.EMAIL)),
        (DeliveryPreferences(account_status=AccountStatus.SUSPENDED), GONE),
        (DeliveryPreferences(account_status=AccountStatus.CLOSED), GONE),
        (DeliveryPreferences(is_closed=True), CLOSED),
        (DeliveryPreferences(accepted_types=frozenset()), TYPE),
        (DeliveryPreferences(accepted_types=frozenset({MessageType.JOB, MessageType.RFQ})), TYPE),
        (DeliveryPreferences(accepted_types=frozenset({MessageType.OTHER})), INBOX),
        (DeliveryPreferences(senders=ANNA), INBOX),
        (DeliveryPreferences(sender_rule=ALLOW), SENDER),
        (DeliveryPreferences(sender_rule=ALLOW, senders=ANNA), INBOX),
        (DeliveryPreferences(sender_rule=ALLOW, senders=CLIENT), INBOX),
        (DeliveryPreferences(sender_rule=ALLOW, senders=frozenset({"bo@mail.example"})), SENDER),
        (DeliveryPreferences(sender_rule=BLOCK), INBOX),
        (DeliveryPreferences(sender_rule=BLOCK, senders=ANNA), SENDER),
        (DeliveryPreferences(sender_rule=BLOCK, senders=CLIENT), SENDER),
        (DeliveryPreferences(sender_rule=BLOCK, senders=frozenset({"bo@mail.example"})), INBOX),
        (DeliveryPreferences(muted_until=JUST_AFTER), MUTED),
        (DeliveryPreferences(muted_until=NOON), INBOX),
        (DeliveryPreferences(muted_until=NOON.astimezone(ZoneInfo("Asia/Tokyo")) + timedelta(hours=1)), MUTED),
        (DeliveryPreferences(quiet_hours=SIESTA), later(2)),
        (DeliveryPreferences(quiet_hours=SIESTA, channel=Channel.EMAIL), later(2, Channel.EMAIL)),
        (DeliveryPreferences(quiet_hours=SIESTA, time_zone=ZoneInfo("Asia/Tokyo")), INBOX),
        (DeliveryPreferences(quiet_hours=QuietHours(time(20), time(6)), time_zone=ZoneInfo("Asia/Tokyo")), later(9)),
        (DeliveryPreferences(quiet_hours=QuietHours(time(12), time(12))), INBOX),
        (DeliveryPreferences(quiet_hours=QuietHours(time(12), time(11, 59))), later(24 - 1 / 60)),
    ],
)
def test_a_recipient_is_reached_by_its_own_channel_or_there_is_a_reason(
    preference: DeliveryPreferences, expected: ChannelDecision
) -> None:
    assert expected == choose_channel(sender(), preference, now=NOON)


def test_of_several_reasons_the_first_counts_from_the_account_to_the_hour() -> None:
    preferences = {
        "account_status": AccountStatus.CLOSED,
        "is_closed": True,
        "accepted_types": frozenset[MessageType](),
        "sender_rule": ALLOW,
        "muted_until": JUST_AFTER,
        "quiet_hours": SIESTA,
    }
    decisions = []

    for name in list(preferences):
        decisions.append(choose_channel(sender(), DeliveryPreferences(**preferences), now=NOON))  # type: ignore[arg-type] # a table
        del preferences[name]

    assert [GONE, CLOSED, TYPE, SENDER, MUTED, later(2)] == decisions


@pytest.mark.parametrize(("email", "expected"), [(None, SENDER), ("", SENDER), ("ANNA@MAIL.EXAMPLE", INBOX)])
def test_a_sender_without_an_address_is_on_no_list_of_addresses(email: str | None, expected: ChannelDecision) -> None:
    preference = DeliveryPreferences(sender_rule=ALLOW, senders=ANNA)

    assert expected == choose_channel(sender(email), preference, now=NOON)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna@Mail.Example", "anna@mail.example"),
        (str(build.CLIENT_ID).upper(), str(build.CLIENT_ID)),
        ("anna@b\u00fccher.example", "anna@xn--bcher-kva.example"),
        ("anna@B\u00dcCHER.example", "ANNA@XN--BCHER-KVA.example"),
    ],
)
def test_a_sender_is_recognized_in_another_spelling(one: str, other: str) -> None:
    assert fold_sender(one) == fold_sender(other)


@pytest.mark.parametrize("text", ["anna@\u00fc" + "x" * 80, "@", "", "\u00fc@", "anna@..\u00fc"])
def test_a_text_that_is_no_address_is_folded_without_an_error(text: str) -> None:
    assert fold_sender(text) == fold_sender(fold_sender(text))


def test_a_recipient_waits_for_a_day_at_most_at_once() -> None:
    # The hour from 02:00 is the only one that is not quiet, and clocks jump over it.
    preference = DeliveryPreferences(quiet_hours=QuietHours(time(3), time(2)), time_zone=ZoneInfo("Europe/Berlin"))
    evening_before = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)

    decision = choose_channel(sender(), preference, now=evening_before)

    assert timedelta(days=1) == decision.wait
