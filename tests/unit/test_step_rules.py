"""The rules that steps apply between their statements."""

from datetime import time, timedelta
from typing import cast

import pytest
from sqlalchemy import Connection

from delivery.records.database import Database
from delivery.records.pipeline.candidates import Content
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.preferences import DeliveryPreferences, SenderContext
from delivery.rules.quiet_hours import QuietHours
from delivery.rules.transitions import PendingRecipient, Transition
from delivery.vocabulary import AccountStatus, Channel, MessageType, Reason, SenderRule, State
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.rule_application import apply_rules
from tasks.steps.decide import apply_verdicts
from tasks.steps.deliver import check_preferences
from tests.support import build

JOB = SenderContext(MessageType.JOB, build.CLIENT_ID)


def context(hold_phrases: str) -> StepContext:
    """Make a step context that has no database."""
    return StepContext(build.settings(hold_phrases=hold_phrases), cast(Database, None), SilentDoorbell())


def decided(contents: list[Content], pending: list[PendingRecipient]) -> list[Transition]:
    """Decide these recipients where one phrase is held and no rule set is stored."""
    there = context(hold_phrases="gift card")
    return apply_verdicts(there, apply_rules(there, cast(Connection, None), contents), pending)


def test_a_delivery_uses_the_channel_that_its_recipient_wants() -> None:
    assert Channel.EMAIL is check_preferences(build.claimed())


@pytest.mark.parametrize(
    ("preference", "expected"),
    [
        (
            DeliveryPreferences(channel=Channel.EMAIL, is_closed=True),
            Outcome(OutcomeKind.UNWANTED, Reason.CLOSED_TO_EVERYBODY),
        ),
        (
            DeliveryPreferences(channel=Channel.EMAIL, accepted_types=frozenset({MessageType.JOB})),
            Outcome(OutcomeKind.UNWANTED, Reason.TYPE_NOT_ACCEPTED),
        ),
        (
            DeliveryPreferences(channel=Channel.EMAIL, account_status=AccountStatus.CLOSED),
            Outcome(OutcomeKind.PERMANENT, Reason.ACCOUNT_UNAVAILABLE),
        ),
        (DeliveryPreferences(channel=Channel.INBOX), Outcome(OutcomeKind.SENT, channel=Channel.INBOX)),
        (
            DeliveryPreferences(channel=Channel.EMAIL, sender_rule=SenderRule.ALLOW),
            Outcome(OutcomeKind.UNWANTED, Reason.SENDER_NOT_WANTED),
        ),
        (
            DeliveryPreferences(channel=Channel.EMAIL, quiet_hours=QuietHours(time(11), time(12, 30))),
            Outcome(OutcomeKind.DEFERRED, Reason.QUIET_HOURS, channel=Channel.EMAIL, due_in=timedelta(minutes=30)),
        ),
    ],
)
def test_a_recipient_that_changed_its_mind_after_it_was_queued_gets_no_mail(
    preference: DeliveryPreferences, expected: Outcome
) -> None:
    assert expected == check_preferences(build.claimed(preference=preference))


@pytest.mark.parametrize("field_name", ["subject", "body", "sender_name"])
def test_a_phrase_in_any_text_that_a_recipient_sees_holds_the_message(field_name: str) -> None:
    texts = dict.fromkeys(["subject", "body", "sender_name"], "harmless") | {field_name: "a GIFT  card"}
    content = Content(build.MESSAGE_ID, texts)

    transitions = decided([content], [build.pending(), build.pending()])

    assert [State.HELD, State.HELD] == [each.after for each in transitions]


def test_a_flagged_message_does_not_hold_the_others_of_its_bell() -> None:
    other_id = build.account_id()
    contents = [
        Content(build.MESSAGE_ID, {"body": "gift card"}),
        Content(other_id, {"body": "hello"}),
    ]
    no_jobs = DeliveryPreferences(accepted_types=frozenset({MessageType.OTHER}))
    pending = [
        build.pending(preference=no_jobs),
        build.pending(message_id=other_id, sender=JOB),
        build.pending(message_id=other_id, sender=JOB, preference=no_jobs),
    ]

    transitions = decided(contents, pending)

    assert [State.HELD, State.DELIVERED, State.BLOCKED] == [each.after for each in transitions]
