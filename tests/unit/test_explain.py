"""Telling people where a recipient stands: every word of the vocabulary has plain ones."""

from dataclasses import replace
from datetime import timedelta

import pytest

from delivery.explain import explain_recipients, paragraph
from delivery.records.views.messages import MessageView, RecipientView
from delivery.rules.retry import PARKED
from delivery.vocabulary import Channel, MessageType, Reason, State
from tests.support import build

WAITING = RecipientView(
    recipient_id=7,
    account_id=build.account_id(1),
    state=State.RETRYING,
    reason=None,
    channel=Channel.INBOX,
    changed_at=build.NOON,
    attempt=0,
    due_at=build.NOON + timedelta(hours=2),
    possibly_duplicated=False,
    detail=None,
)


def told(recipient: RecipientView) -> str:
    """Tell where the only recipient of a message stands, at noon."""
    message = MessageView(
        message_id=build.MESSAGE_ID,
        client_id=build.CLIENT_ID,
        sender_name="Anna",
        sender_email=None,
        subject="A question",
        body="Hello.",
        type=MessageType.OTHER,
        created_at=build.NOON,
        sent_at=None,
        vetting_id=None,
        recipients=(recipient,),
    )
    (explanation,) = explain_recipients(message, build.NOON)
    return paragraph(explanation, build.NOON)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_told_in_words_of_its_own(reason: Reason) -> None:
    sentences = [told(replace(WAITING, reason=each)) for each in Reason]

    assert 1 == sentences.count(told(replace(WAITING, reason=reason)))


def test_quiet_hours_are_told_with_the_instant_of_their_end() -> None:
    lines = told(replace(WAITING, reason=Reason.QUIET_HOURS)).splitlines()

    assert "    why: it waits for the end of the account's quiet hours" == lines[1]
    assert "    next: the next attempt is made in 2 hours (2026-03-01 14:00:00 UTC)" == lines[2]


def test_what_is_set_aside_is_told_with_the_way_out() -> None:
    parked = replace(WAITING, reason=Reason.POISONED, due_at=build.NOON + PARKED)

    lines = told(parked).splitlines()

    assert "    why: workers crashed on it repeatedly" == lines[1]
    assert "    next: nothing, until an operator releases it: postroom release MESSAGE" == lines[2]


def test_only_the_mail_server_is_quoted() -> None:
    theirs = replace(WAITING, reason=Reason.TRY_LATER, detail="451 4.7.1 Greylisted")
    ours = replace(WAITING, reason=Reason.INTERRUPTED, detail="The worker stopped before it could record an outcome.")

    assert 'its reply: "451 4.7.1 Greylisted"' in told(theirs)
    assert "; in detail: The worker stopped before it could record an outcome." in told(ours)
