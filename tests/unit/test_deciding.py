"""Preferences, and where a recipient goes when its message is decided."""

from datetime import timedelta

import pytest

from delivery.rules.deciding import Candidate, Move, place, refuse
from delivery.rules.preferences import Choice, Preference, choose_channel
from delivery.vocabulary import AccountStatus, Channel, MessageType, Reason, State
from tests import build

GRACE = timedelta(seconds=5)
CLOSED = Preference(is_closed=True)
NO_JOBS = Preference(accepted_types=frozenset({MessageType.RFQ, MessageType.OTHER}))
NOTHING = Preference(accepted_types=frozenset())
SUSPENDED = Preference(account_status=AccountStatus.SUSPENDED)
GONE_AND_CLOSED = Preference(account_status=AccountStatus.CLOSED, is_closed=True, accepted_types=frozenset())
BY_EMAIL = Preference(channel=Channel.EMAIL)


@pytest.mark.parametrize(
    ("preference", "message_type", "expected"),
    [
        (Preference(), MessageType.OTHER, Choice(Channel.INBOX)),
        (BY_EMAIL, MessageType.RFQ, Choice(Channel.EMAIL)),
        (NO_JOBS, MessageType.RFQ, Choice(Channel.INBOX)),
        (NO_JOBS, MessageType.JOB, Choice(None, State.BLOCKED, Reason.TYPE_NOT_ACCEPTED)),
        (NOTHING, MessageType.OTHER, Choice(None, State.BLOCKED, Reason.TYPE_NOT_ACCEPTED)),
        (CLOSED, MessageType.OTHER, Choice(None, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY)),
        (SUSPENDED, MessageType.OTHER, Choice(None, State.FAILED, Reason.ACCOUNT_UNAVAILABLE)),
        (GONE_AND_CLOSED, MessageType.OTHER, Choice(None, State.FAILED, Reason.ACCOUNT_UNAVAILABLE)),
        (
            Preference(is_closed=True, accepted_types=frozenset()),
            MessageType.JOB,
            Choice(None, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY),
        ),
    ],
)
def test_a_recipient_is_reached_by_its_own_channel_or_there_is_a_reason(
    preference: Preference, message_type: MessageType, expected: Choice
) -> None:
    assert expected == choose_channel(message_type, preference)


@pytest.mark.parametrize(
    ("preference", "hold", "after", "channel", "reason", "due_in"),
    [
        (Preference(), False, State.DELIVERED, Channel.INBOX, None, None),
        (BY_EMAIL, False, State.QUEUED, Channel.EMAIL, None, GRACE),
        (Preference(), True, State.HELD, None, Reason.FLAGGED, GRACE),
        (BY_EMAIL, True, State.HELD, None, Reason.FLAGGED, GRACE),
        (CLOSED, False, State.BLOCKED, None, Reason.CLOSED_TO_EVERYBODY, None),
        (CLOSED, True, State.BLOCKED, None, Reason.CLOSED_TO_EVERYBODY, None),
        (NOTHING, True, State.BLOCKED, None, Reason.TYPE_NOT_ACCEPTED, None),
        (SUSPENDED, True, State.FAILED, None, Reason.ACCOUNT_UNAVAILABLE, None),
    ],
)
def test_preferences_come_before_vetting_and_vetting_before_delivery(  # noqa: PLR0917 - the columns of a table
    preference: Preference,
    hold: bool,  # noqa: FBT001 - a column of a table
    after: State,
    channel: Channel | None,
    reason: Reason | None,
    due_in: timedelta | None,
) -> None:
    candidate = build.candidate(preference=preference)

    move = place(candidate, MessageType.OTHER, hold=hold, grace=GRACE)

    assert expected_move(candidate, after, channel=channel, reason=reason, due_in=due_in) == move


def test_a_recipient_that_staff_let_go_is_asked_for_its_preferences_again() -> None:
    candidate = build.candidate(State.HELD, preference=CLOSED)

    move = place(candidate, MessageType.OTHER, hold=False, grace=GRACE)

    assert expected_move(candidate, State.BLOCKED, reason=Reason.CLOSED_TO_EVERYBODY) == move


def test_a_held_recipient_cannot_be_held_again() -> None:
    with pytest.raises(ValueError, match="may not go from held to held"):
        place(build.candidate(State.HELD), MessageType.OTHER, hold=True, grace=GRACE)


def test_refusing_refuses_everybody_for_one_reason() -> None:
    candidates = [build.candidate(State.HELD), build.candidate(State.HELD, preference=BY_EMAIL)]

    moves = refuse(candidates, Reason.REFUSED_BY_STAFF)

    assert [expected_move(each, State.REFUSED, reason=Reason.REFUSED_BY_STAFF) for each in candidates] == moves


def expected_move(
    candidate: Candidate,
    after: State,
    *,
    channel: Channel | None = None,
    reason: Reason | None = None,
    due_in: timedelta | None = None,
) -> Move:
    """Spell a whole move, so that nothing in it goes unchecked."""
    ids = candidate.recipient_id, candidate.message_id
    return Move(*ids, candidate.state, after, candidate.attempt, channel, reason, None, due_in)
