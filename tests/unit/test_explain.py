"""Explaining to people where a recipient is: every reason has a text of its own."""

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


def explain(recipient: RecipientView) -> str:
    """Explain the only recipient of a message, at noon."""
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
def test_every_reason_has_a_text_of_its_own(reason: Reason) -> None:
    sentences = [explain(replace(WAITING, reason=each)) for each in Reason]

    assert 1 == sentences.count(explain(replace(WAITING, reason=reason)))


def test_quiet_hours_are_explained_with_the_instant_of_their_end() -> None:
    lines = explain(replace(WAITING, reason=Reason.QUIET_HOURS)).splitlines()

    assert "    why: it waits for the end of the account's quiet hours" == lines[1]
    assert "    next: the next attempt is made in 2 hours (2026-03-01 14:00:00 UTC)" == lines[2]


def test_a_parked_recipient_is_explained_with_the_command_that_releases_it() -> None:
    parked = replace(WAITING, reason=Reason.POISONED, due_at=build.NOON + PARKED)

    lines = explain(parked).splitlines()

    assert "    why: workers crashed on it repeatedly" == lines[1]
    assert "    next: nothing, until an operator releases it: postroom release MESSAGE" == lines[2]


def test_only_the_reply_of_the_mail_server_is_quoted() -> None:
    foreign = replace(WAITING, reason=Reason.TRY_LATER, detail="451 4.7.1 Greylisted")
    own = replace(WAITING, reason=Reason.INTERRUPTED, detail="The worker stopped before it could record an outcome.")

    assert 'its reply: "451 4.7.1 Greylisted"' in explain(foreign)
    assert "; in detail: The worker stopped before it could record an outcome." in explain(own)
