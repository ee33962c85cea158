"""The transition that follows an attempt, and the wait until the next one."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.rules.outcomes import Outcome, OutcomeKind, interrupted_outcome, next_transition, resolve_without_network
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
        (OutcomeKind.SENT, FIRST, State.DELIVERED, None, None),
        (OutcomeKind.SENT, LAST, State.DELIVERED, None, None),
        (OutcomeKind.PERMANENT, FIRST, State.FAILED, Reason.MAILBOX_REFUSED, None),
        (OutcomeKind.UNWANTED, FIRST, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY, None),
        (OutcomeKind.UNWANTED, LAST, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY, None),
        (OutcomeKind.TEMPORARY, FIRST, State.RETRYING, Reason.TRY_LATER, HALF_A_MINUTE),
        (OutcomeKind.TEMPORARY, LAST - 1, State.RETRYING, Reason.TRY_LATER, HALF_A_DAY),
        (OutcomeKind.TEMPORARY, LAST, State.FAILED, Reason.GAVE_UP, None),
        (OutcomeKind.UNKNOWN, FIRST, State.UNKNOWN, Reason.INTERRUPTED, HALF_A_MINUTE),
        (OutcomeKind.UNKNOWN, LAST, State.FAILED, Reason.GAVE_UP, None),
    ],
)
def test_every_outcome_has_its_transition(
    kind: OutcomeKind, number: int, after: State, reason: Reason | None, due_in: timedelta | None
) -> None:
    reasons = {
        OutcomeKind.PERMANENT: Reason.MAILBOX_REFUSED,
        OutcomeKind.TEMPORARY: Reason.TRY_LATER,
        OutcomeKind.UNKNOWN: Reason.INTERRUPTED,
        OutcomeKind.UNWANTED: Reason.CLOSED_TO_EVERYBODY,
    }
    attempt = build.attempt(number)

    transition = next_transition(attempt, Outcome(kind, reasons.get(kind), "550 no"), jitter=0)

    ids = attempt.recipient_id, attempt.message_id
    assert Transition(*ids, State.CLAIMED, after, number, None, reason, "550 no", due_in) == transition


@pytest.mark.parametrize(
    ("decision", "waited_for", "expected"),
    [
        (ChannelDecision(Channel.EMAIL), Channel.EMAIL, Channel.EMAIL),
        (ChannelDecision(Channel.INBOX), Channel.EMAIL, Outcome(OutcomeKind.SENT, channel=Channel.INBOX)),
        (ChannelDecision(Channel.INBOX), Channel.INBOX, Outcome(OutcomeKind.SENT, channel=Channel.INBOX)),
        (ChannelDecision(Channel.EMAIL), Channel.INBOX, Outcome(OutcomeKind.DEFERRED, channel=Channel.EMAIL)),
        (
            ChannelDecision(None, State.BLOCKED, Reason.MUTED),
            Channel.EMAIL,
            Outcome(OutcomeKind.UNWANTED, Reason.MUTED),
        ),
        (
            ChannelDecision(None, State.FAILED, Reason.ACCOUNT_UNAVAILABLE),
            Channel.INBOX,
            Outcome(OutcomeKind.PERMANENT, Reason.ACCOUNT_UNAVAILABLE),
        ),
        (
            ChannelDecision(Channel.INBOX, State.RETRYING, Reason.QUIET_HOURS, HALF_A_DAY),
            Channel.EMAIL,
            Outcome(OutcomeKind.DEFERRED, Reason.QUIET_HOURS, channel=Channel.INBOX, due_in=HALF_A_DAY),
        ),
    ],
)
def test_an_attempt_ends_without_a_network_or_uses_the_channel_that_is_wanted_now(
    decision: ChannelDecision, waited_for: Channel, expected: Outcome | Channel
) -> None:
    assert expected == resolve_without_network(decision, waited_for)


@pytest.mark.parametrize("number", [FIRST, LAST, 40])
@pytest.mark.parametrize(
    ("wanted", "due_in"),
    [(HALF_A_DAY, HALF_A_DAY), (timedelta(0), timedelta(0)), (timedelta(days=9), timedelta(days=1))],
)
def test_a_deferred_recipient_waits_as_long_as_it_must_but_a_day_at_most_and_is_never_given_up(
    wanted: timedelta, due_in: timedelta, number: int
) -> None:
    outcome = Outcome(OutcomeKind.DEFERRED, Reason.QUIET_HOURS, channel=Channel.INBOX, due_in=wanted)
    attempt = build.attempt(number)

    transition = next_transition(attempt, outcome, jitter=0.5)

    ids = attempt.recipient_id, attempt.message_id
    expected = Transition(*ids, State.CLAIMED, State.RETRYING, number, Channel.INBOX, Reason.QUIET_HOURS, None, due_in)
    assert expected == transition


def test_an_interrupted_attempt_may_have_reached_a_mailbox_but_not_an_inbox() -> None:
    mail, inbox = (interrupted_outcome(build.attempt(channel=channel)) for channel in (Channel.EMAIL, Channel.INBOX))

    assert (OutcomeKind.UNKNOWN, Reason.INTERRUPTED) == (mail.kind, mail.reason)
    assert Outcome(OutcomeKind.DEFERRED) == inbox


def test_a_recipient_reached_by_another_channel_than_it_was_queued_for_is_recorded_there() -> None:
    transition = next_transition(build.attempt(), Outcome(OutcomeKind.SENT, channel=Channel.INBOX), jitter=0)

    assert (State.DELIVERED, Channel.INBOX) == (transition.after, transition.channel)


@given(st.sampled_from(OutcomeKind), st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_an_open_recipient_is_always_due_and_a_final_one_never(kind: OutcomeKind, number: int, jitter: float) -> None:
    transition = next_transition(build.attempt(number), Outcome(kind), jitter)

    is_open = transition.after in {"retrying", "unknown"}
    assert is_open is (transition.due_in is not None)


def test_ten_attempts_take_about_28_hours() -> None:
    waits = [next_try(number, jitter=0) for number in range(1, 11)]

    assert 9 == len([wait for wait in waits if wait is not None])
    assert None is waits[-1]
    assert timedelta(hours=27) < sum(filter(None, waits), timedelta()) < timedelta(hours=29)


def test_waits_grow_and_the_first_is_half_a_minute() -> None:
    assert HALF_A_MINUTE == SCHEDULE[0]
    assert sorted(set(SCHEDULE)) == list(SCHEDULE)


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_jitter_only_shortens_a_wait_and_by_a_fifth_at_most(number: int, jitter: float) -> None:
    full = next_try(number, jitter=0)

    wait = next_try(number, jitter)

    assert full is not None
    assert wait is not None
    assert full * (1 - JITTER) <= wait <= full
    assert JITTER == 0.2


@given(st.integers(10, 10_000), st.floats(0, 1, exclude_max=True))
def test_after_the_last_attempt_there_is_none(number: int, jitter: float) -> None:
    assert None is next_try(number, jitter)
