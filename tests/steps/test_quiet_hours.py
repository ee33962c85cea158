"""Quiet hours defer a recipient at the decision, after a review and at delivery; the sweep delivers when they end."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.identities import accounts
from delivery.records.pipeline import claims
from delivery.records.views import messages
from delivery.vocabulary import Channel, Reason, SenderRule, State
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tasks.steps.expire_leases import expire_leases
from tasks.steps.review import decide_case
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.build import APPROVED
from tests.support.fixtures import Fixtures
from tests.support.statements import counted
from tests.support.step_driver import RecordingDoorbell, RecordingSender
from tests.support.waiting import wait_until
from worker.runtime.sweep import SWEEP_QUERIES, Sweep, Work

AN_HOUR = timedelta(hours=1)
QUIET = Reason.QUIET_HOURS


def hours_around_now() -> tuple[time, time]:
    """Return quiet hours that began an hour ago and end in about two, in UTC."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return (now - AN_HOUR).time(), (now + 2 * AN_HOUR).time()


def end_quiet_hours(fixtures: Fixtures) -> None:
    """End the quiet hours of all accounts, and make all recipients due."""
    fixtures.run_sql("UPDATE preference SET quiet_from = NULL, quiet_until = NULL")
    fixtures.let_pass(timedelta(days=1))


def begin_quiet_hours(fixtures: Fixtures) -> None:
    """Begin the quiet hours of all accounts."""
    begin, end = hours_around_now()
    fixtures.run_sql("UPDATE preference SET quiet_from = :begin, quiet_until = :end", begin=begin, end=end)


@pytest.mark.parametrize("channel", list(Channel))
def test_in_quiet_hours_a_recipient_of_any_channel_waits_for_their_end(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell, channel: Channel
) -> None:
    begin, end = hours_around_now()
    account_id = fixtures.account(channel, quiet_hours=(begin, end))
    message_id = fixtures.message(account_id)

    decide(context, [message_id])

    recipient = fixtures.recipient(message_id)
    assert (State.RETRYING, QUIET, channel, 0) == (
        recipient.state,
        recipient.reason,
        recipient.channel,
        recipient.attempt,
    )
    assert recipient.due_at is not None
    assert end == recipient.due_at.time().replace(microsecond=0)
    assert ([], [], (1, 0, "pending")) == (list(bells.rung), fixtures.inbox(account_id), fixtures.counters(message_id))


def test_quiet_hours_are_in_the_time_zone_of_the_account(fixtures: Fixtures, context: StepContext) -> None:
    begin, end = hours_around_now()
    in_quiet_hours = fixtures.account(quiet_hours=(begin, end), time_zone="UTC")
    outside_of_them = fixtures.account(quiet_hours=(begin, end), time_zone="Etc/GMT+9")
    unknown_zone = fixtures.account(quiet_hours=(begin, end), time_zone="Atlantis/Capital")
    message_id = fixtures.message(in_quiet_hours, outside_of_them, unknown_zone)

    decide(context, [message_id])

    assert [State.RETRYING, State.DELIVERED, State.RETRYING] == fixtures.states(message_id)


def test_the_api_does_not_wait_for_the_end_of_quiet_hours(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account(quiet_hours=hours_around_now()))
    before = _settled(fixtures, message_id)

    decide(context, [message_id])

    assert (False, True) == (before, _settled(fixtures, message_id))


def test_a_message_approved_in_quiet_hours_waits_for_their_end(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account(quiet_hours=hours_around_now())
    message_id = fixtures.message(account_id, subject=HELD_PHRASE)
    decide(context, [message_id])
    held = fixtures.states(message_id)
    vet(context, [message_id])

    decide_case(context, fixtures.case(message_id).case_id, APPROVED)

    assert ([State.HELD], [State.RETRYING], [QUIET]) == (
        held,
        fixtures.states(message_id),
        fixtures.reasons(message_id),
    )


def test_a_deferred_message_is_delivered_to_the_inbox_when_it_is_due(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account(quiet_hours=hours_around_now())
    message_id = fixtures.message(account_id)
    decide(context, [message_id])
    early = fixtures.recipient_ids(message_id)
    deliver(context, early)
    before = fixtures.states(message_id)
    end_quiet_hours(fixtures)

    deliver(context, fixtures.recipient_ids(message_id))

    recipient = fixtures.recipient(message_id)
    assert [State.RETRYING] == before
    assert (State.DELIVERED, None, 1, False) == (
        recipient.state,
        recipient.reason,
        recipient.attempt,
        recipient.possibly_duplicated,
    )
    assert ([message_id], (0, 1, "sent")) == (fixtures.inbox(account_id), fixtures.counters(message_id))


def test_many_deferred_messages_are_delivered_in_two_statements(fixtures: Fixtures, context: StepContext) -> None:
    message_ids = [fixtures.message(fixtures.account(quiet_hours=hours_around_now())) for _ in range(20)]
    decide(context, message_ids)
    end_quiet_hours(fixtures)
    ids = [each for message_id in message_ids for each in fixtures.recipient_ids(message_id)]

    with counted(fixtures.database) as statements:
        deliver(context, ids)

    assert 2 == len(statements)
    assert 20 == fixtures.count("inbox_letter")


def test_quiet_hours_are_checked_again_at_delivery_and_defer_even_the_last_attempt(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])
    fixtures.run_sql("UPDATE recipient SET attempt = 9")
    begin_quiet_hours(fixtures)

    deliver(context, fixtures.recipient_ids(message_id))

    recipient = fixtures.recipient(message_id)
    assert ([], State.RETRYING, QUIET) == (relay.letters, recipient.state, recipient.reason)
    assert recipient.due_at is not None
    assert AN_HOUR < recipient.due_at - recipient.changed_at <= 2 * AN_HOUR


@pytest.mark.parametrize("number", [0, 9, 20])
def test_a_deferred_recipient_always_gets_another_attempt(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, number: int
) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])
    fixtures.run_sql("UPDATE recipient SET attempt = :number", number=number)
    begin_quiet_hours(fixtures)
    deliver(context, fixtures.recipient_ids(message_id))
    end_quiet_hours(fixtures)

    deliver(context, fixtures.recipient_ids(message_id))

    assert ([State.DELIVERED], 1) == (fixtures.states(message_id), len(relay.letters))


def test_an_account_that_chooses_email_while_its_message_is_deferred_gets_an_email(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    account_id = fixtures.account(quiet_hours=hours_around_now())
    message_id = fixtures.message(account_id)
    decide(context, [message_id])
    fixtures.run_sql("UPDATE preference SET channel = 'email'")
    end_quiet_hours(fixtures)

    deliver(context, fixtures.recipient_ids(message_id))
    after_first_run = fixtures.recipient(message_id)
    deliver(context, fixtures.recipient_ids(message_id))

    assert (State.RETRYING, Channel.EMAIL) == (after_first_run.state, after_first_run.channel)
    assert ([State.DELIVERED], 1, []) == (fixtures.states(message_id), len(relay.letters), fixtures.inbox(account_id))


def test_an_interrupted_inbox_delivery_is_repeated_and_not_flagged_as_duplicated(
    fixtures: Fixtures, context: StepContext
) -> None:
    account_id = fixtures.account(quiet_hours=hours_around_now())
    message_id = fixtures.message(account_id)
    decide(context, [message_id])
    end_quiet_hours(fixtures)
    with transaction(fixtures.database) as db:
        claims.claim(db, fixtures.recipient_ids(message_id), token=uuid7(), lease=AN_HOUR)
    fixtures.let_pass(AN_HOUR)

    expire_leases(context, fixtures.recipient_ids(message_id))
    after_first_run = fixtures.recipient(message_id)
    deliver(context, fixtures.recipient_ids(message_id))

    after = fixtures.recipient(message_id)
    assert (State.RETRYING, None) == (after_first_run.state, after_first_run.reason)
    assert (State.DELIVERED, False, 2) == (after.state, after.possibly_duplicated, after.attempt)
    assert [message_id] == fixtures.inbox(account_id)


def test_the_sweep_delivers_deferred_messages(fixtures: Fixtures, context: StepContext, relay: RecordingSender) -> None:
    fast_settings = context.settings.model_copy(update={"sweep_tick_s": 0.02})
    email, inbox, moved = (
        fixtures.message(fixtures.account(channel, quiet_hours=hours_around_now()))
        for channel in (Channel.EMAIL, Channel.INBOX, Channel.INBOX)
    )
    decide(context, [email, inbox, moved])
    fixtures.run_sql(
        "UPDATE preference SET channel = 'email' WHERE account_id = :id", id=fixtures.recipient(moved).account_id
    )
    end_quiet_hours(fixtures)
    sweep = Sweep(
        replace(context, settings=fast_settings, doorbell=SilentDoorbell()),
        tuple(SWEEP_QUERIES),
        _run_on_a_thread,
    )

    sweep.start()
    try:
        wait_until(lambda: all([State.DELIVERED] == fixtures.states(each) for each in (email, inbox, moved)))
    finally:
        sweep.stop()

    assert {email, moved} == {claimed.message_id for claimed in relay.letters}
    assert 1 == fixtures.count("inbox_letter")


@pytest.mark.parametrize(
    ("preferences", "reason"),
    [
        ({"sender_rule": SenderRule.BLOCK, "senders": ("Grace@Example.com",)}, Reason.SENDER_NOT_WANTED),
        ({"sender_rule": SenderRule.ALLOW, "senders": ("else@example.com",)}, Reason.SENDER_NOT_WANTED),
        ({"muted_until": datetime(2999, 1, 1, tzinfo=UTC)}, Reason.MUTED),
    ],
)
def test_sender_lists_and_mutes_are_checked_at_the_decision_and_again_at_delivery(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, preferences: dict[str, object], reason: Reason
) -> None:
    early, late = fixtures.account(Channel.EMAIL, **preferences), fixtures.account(Channel.EMAIL)
    message_id = fixtures.message(early, late, sender_email="grace@example.com")
    decide(context, [message_id])
    decided = fixtures.states(message_id)
    with transaction(fixtures.database) as db:
        (facts,) = accounts.find(db, [early])
    fixtures.put(replace(facts, account_id=late))

    deliver(context, fixtures.recipient_ids(message_id))

    assert [State.BLOCKED, State.QUEUED] == decided
    assert ([reason] * 2, []) == (fixtures.reasons(message_id), relay.letters)


def test_sender_lists_can_hold_the_id_of_a_client(fixtures: Fixtures, context: StepContext) -> None:
    senders = (str(fixtures.client_id).upper(),)
    allowing = fixtures.account(sender_rule=SenderRule.ALLOW, senders=senders)
    blocking = fixtures.account(sender_rule=SenderRule.BLOCK, senders=senders)
    message_id = fixtures.message(allowing, blocking)

    decide(context, [message_id])

    assert [State.DELIVERED, State.BLOCKED] == fixtures.states(message_id)


def _settled(fixtures: Fixtures, message_id: UUID) -> bool:
    """Return whether the API would answer a waiting client now."""
    with transaction(fixtures.database) as db:
        return message_id in messages.progress(db, [message_id], settled_only=True)


def _run_on_a_thread(work: Work) -> Callable[[], None]:
    thread = threading.Thread(target=work)
    thread.start()
    return thread.join
