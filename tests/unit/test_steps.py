"""What steps judge between their statements."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from delivery.records.claims import Letter
from delivery.records.deciding import Content
from delivery.records.engine import Store
from delivery.rules.outcomes import Kind, Outcome
from delivery.rules.preferences import Preference
from delivery.vocabulary import AccountStatus, Channel, MessageType, Reason, State
from tasks.decide import judge
from tasks.deliver import attempt
from tasks.doorbell import SilentDoorbell
from tasks.office import Office
from tests import build

SENT = Outcome(Kind.SENT)


@dataclass
class FakeSender:
    """Takes every letter."""

    letters: list[Letter] = field(default_factory=list)

    def send(self, letter: Letter) -> Outcome:
        """Keep it."""
        self.letters.append(letter)
        return SENT


def office(sender: FakeSender | None = None, hold_phrases: str = "") -> Office:
    """Make an office that sends e-mail through this sender, and has no database."""
    senders = {Channel.EMAIL: sender or FakeSender()}
    return Office(build.settings(hold_phrases=hold_phrases), cast(Store, None), SilentDoorbell(), senders)


def test_a_letter_goes_out_by_the_sender_of_its_channel() -> None:
    sender, letter = FakeSender(), build.letter()

    outcome = attempt(office(sender), letter)

    assert SENT == outcome
    assert [letter] == sender.letters


@pytest.mark.parametrize(
    ("preference", "expected"),
    [
        (Preference(channel=Channel.EMAIL, is_closed=True), Outcome(Kind.UNWANTED, Reason.CLOSED_TO_EVERYBODY)),
        (
            Preference(channel=Channel.EMAIL, accepted_types=frozenset({MessageType.JOB})),
            Outcome(Kind.UNWANTED, Reason.TYPE_NOT_ACCEPTED),
        ),
        (
            Preference(channel=Channel.EMAIL, account_status=AccountStatus.CLOSED),
            Outcome(Kind.PERMANENT, Reason.ACCOUNT_UNAVAILABLE),
        ),
        (Preference(channel=Channel.INBOX), Outcome(Kind.SENT, channel=Channel.INBOX)),
    ],
)
def test_a_recipient_that_changed_its_mind_after_it_was_queued_gets_no_mail(
    preference: Preference, expected: Outcome
) -> None:
    sender = FakeSender()

    outcome = attempt(office(sender), build.letter(preference=preference))

    assert expected == outcome
    assert [] == sender.letters


@pytest.mark.parametrize("field_name", ["subject", "body", "sender_name"])
def test_a_phrase_in_any_text_that_a_recipient_sees_holds_the_message(field_name: str) -> None:
    texts = dict.fromkeys(["subject", "body", "sender_name"], "harmless") | {field_name: "a GIFT  card"}
    content = Content(build.MESSAGE_ID, MessageType.OTHER, texts)

    moves = judge(office(hold_phrases="gift card"), [content], [build.candidate(), build.candidate()])

    assert [State.HELD, State.HELD] == [move.after for move in moves]


def test_one_flagged_message_does_not_hold_its_neighbours() -> None:
    neighbour = build.account_id()
    contents = [
        Content(build.MESSAGE_ID, MessageType.OTHER, {"body": "gift card"}),
        Content(neighbour, MessageType.JOB, {"body": "hello"}),
    ]
    no_jobs = Preference(accepted_types=frozenset({MessageType.OTHER}))
    candidates = [
        build.candidate(preference=no_jobs),
        build.candidate(message_id=neighbour),
        build.candidate(message_id=neighbour, preference=no_jobs),
    ]

    moves = judge(office(hold_phrases="gift card"), contents, candidates)

    assert [State.HELD, State.DELIVERED, State.BLOCKED] == [move.after for move in moves]
