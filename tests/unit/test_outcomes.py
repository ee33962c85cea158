"""What follows from an attempt, and when the next one comes."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.rules.outcomes import Kind, Outcome, conclude, cut_off, settle
from delivery.rules.preferences import ChannelDecision
from delivery.rules.retry import JITTER, SCHEDULE, next_try
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel, Reason, State
from tests.support import build

FIRST, LAST = 1, 10
HALF_A_MINUTE = timedelta(seconds=30)
HALF_A_DAY = timedelta(hours=12)


@pytest.mark.parametrize(
    ("kind", "number", "after", "reason", "due_in"),
    [
        (Kind.SENT, FIRST, State.DELIVERED, None, None),
        (Kind.SENT, LAST, State.DELIVERED, None, None),
        (Kind.PERMANENT, FIRST, State.FAILED, Reason.MAILBOX_REFUSED, None),
        (Kind.UNWANTED, FIRST, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY, None),
        (Kind.UNWANTED, LAST, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY, None),
        (Kind.TEMPORARY, FIRST, State.RETRYING, Reason.TRY_LATER, HALF_A_MINUTE),
        (Kind.TEMPORARY, LAST - 1, State.RETRYING, Reason.TRY_LATER, HALF_A_DAY),
        (Kind.TEMPORARY, LAST, State.FAILED, Reason.GAVE_UP, None),
        (Kind.UNKNOWN, FIRST, State.UNKNOWN, Reason.INTERRUPTED, HALF_A_MINUTE),
        (Kind.UNKNOWN, LAST, State.FAILED, Reason.GAVE_UP, None),
    ],
)
def test_every_outcome_has_its_consequence(
    kind: Kind, number: int, after: State, reason: Reason | None, due_in: timedelta | None
) -> None:
    reasons = {
        Kind.PERMANENT: Reason.MAILBOX_REFUSED,
        Kind.TEMPORARY: Reason.TRY_LATER,
        Kind.UNKNOWN: Reason.INTERRUPTED,
        Kind.UNWANTED: Reason.CLOSED_TO_EVERYBODY,
    }
    attempt = build.attempt(number)

    move = conclude(attempt, Outcome(kind, reasons.get(kind), "550 no"), chance=0)

    ids = attempt.recipient_id, attempt.message_id
    assert Transition(*ids, State.CLAIMED, after, number, None, reason, "550 no", due_in) == move


@pytest.mark.parametrize(
    ("choice", "waited_for", "expected"),
    [
        (ChannelDecision(Channel.EMAIL), Channel.EMAIL, Channel.EMAIL),
        (ChannelDecision(Channel.INBOX), Channel.EMAIL, Outcome(Kind.SENT, channel=Channel.INBOX)),
        (ChannelDecision(Channel.INBOX), Channel.INBOX, Outcome(Kind.SENT, channel=Channel.INBOX)),
        (ChannelDecision(Channel.EMAIL), Channel.INBOX, Outcome(Kind.DEFERRED, channel=Channel.EMAIL)),
        (ChannelDecision(None, State.BLOCKED, Reason.MUTED), Channel.EMAIL, Outcome(Kind.UNWANTED, Reason.MUTED)),
        (
            ChannelDecision(None, State.FAILED, Reason.ACCOUNT_UNAVAILABLE),
            Channel.INBOX,
            Outcome(Kind.PERMANENT, Reason.ACCOUNT_UNAVAILABLE),
        ),
        (
            ChannelDecision(Channel.INBOX, State.RETRYING, Reason.QUIET_HOURS, HALF_A_DAY),
            Channel.EMAIL,
            Outcome(Kind.DEFERRED, Reason.QUIET_HOURS, channel=Channel.INBOX, due_in=HALF_A_DAY),
        ),
    ],
)
def test_an_attempt_ends_without_a_network_or_goes_out_by_the_channel_that_is_wanted_now(
    choice: ChannelDecision, waited_for: Channel, expected: Outcome | Channel
) -> None:
    assert expected == settle(choice, waited_for)


@pytest.mark.parametrize("number", [FIRST, LAST, 40])
@pytest.mark.parametrize(
    ("asked", "due_in"),
    [(HALF_A_DAY, HALF_A_DAY), (timedelta(0), timedelta(0)), (timedelta(days=9), timedelta(days=1))],
)
def test_a_deferred_recipient_waits_as_long_as_it_must_but_a_day_at_most_and_is_never_given_up(
    asked: timedelta, due_in: timedelta, number: int
) -> None:
    outcome = Outcome(Kind.DEFERRED, Reason.QUIET_HOURS, channel=Channel.INBOX, due_in=asked)
    attempt = build.attempt(number)

    move = conclude(attempt, outcome, chance=0.5)

    ids = attempt.recipient_id, attempt.message_id
    expected = Transition(*ids, State.CLAIMED, State.RETRYING, number, Channel.INBOX, Reason.QUIET_HOURS, None, due_in)
    assert expected == move


def test_an_attempt_that_was_cut_off_may_have_reached_a_mailbox_but_not_an_inbox() -> None:
    mail, inbox = (cut_off(build.attempt(channel=channel)) for channel in (Channel.EMAIL, Channel.INBOX))

    assert (Kind.UNKNOWN, Reason.INTERRUPTED) == (mail.kind, mail.reason)
    assert Outcome(Kind.DEFERRED) == inbox


def test_a_recipient_reached_by_another_channel_than_it_was_queued_for_is_recorded_there() -> None:
    move = conclude(build.attempt(), Outcome(Kind.SENT, channel=Channel.INBOX), chance=0)

    assert (State.DELIVERED, Channel.INBOX) == (move.after, move.channel)


@given(st.sampled_from(Kind), st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_an_open_recipient_is_always_due_and_a_final_one_never(kind: Kind, number: int, chance: float) -> None:
    move = conclude(build.attempt(number), Outcome(kind), chance)

    is_open = move.after in {"retrying", "unknown"}
    assert is_open is (move.due_in is not None)


def test_ten_attempts_take_about_28_hours() -> None:
    waits = [next_try(number, chance=0) for number in range(1, 11)]

    assert 9 == len([wait for wait in waits if wait is not None])
    assert None is waits[-1]
    assert timedelta(hours=27) < sum(filter(None, waits), timedelta()) < timedelta(hours=29)


def test_waits_grow_and_the_first_is_half_a_minute() -> None:
    assert HALF_A_MINUTE == SCHEDULE[0]
    assert sorted(set(SCHEDULE)) == list(SCHEDULE)


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_jitter_only_shortens_a_wait_and_by_a_fifth_at_most(number: int, chance: float) -> None:
    full = next_try(number, chance=0)

    wait = next_try(number, chance)

    assert full is not None
    assert wait is not None
    assert full * (1 - JITTER) <= wait <= full
    assert JITTER == 0.2


@given(st.integers(10, 10_000), st.floats(0, 1, exclude_max=True))
def test_after_the_last_attempt_there_is_none(number: int, chance: float) -> None:
    assert None is next_try(number, chance)
