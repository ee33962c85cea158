"""Quiet hours put a recipient off, at the decision, after a review and at delivery; the sweep comes back in time."""

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
from tasks.steps.review import close_case
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.steps.test_review import APPROVED
from tests.support.fixtures import Fixtures
from tests.support.statements import counted
from tests.support.step_driver import RecordingDoorbell, RecordingSender
from tests.support.waiting import wait_until
from worker.runtime.sweep import SWEEP_QUERIES, Sweep, Work

AN_HOUR = timedelta(hours=1)
QUIET = Reason.QUIET_HOURS


def around_now() -> tuple[time, time]:
    """Give quiet hours that began an hour ago and end in about two, in UTC."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return (now - AN_HOUR).time(), (now + 2 * AN_HOUR).time()


def wake(fixtures: Fixtures) -> None:
    """Let everybody's quiet hours be over, and the waiting as well."""
    fixtures.ask("UPDATE preference SET quiet_from = NULL, quiet_until = NULL")
    fixtures.let_pass(timedelta(days=1))


def fall_asleep(fixtures: Fixtures) -> None:
    """Let everybody's quiet hours begin."""
    begin, end = around_now()
    fixtures.ask("UPDATE preference SET quiet_from = :begin, quiet_until = :end", begin=begin, end=end)


@pytest.mark.parametrize("channel", list(Channel))
def test_in_quiet_hours_a_recipient_waits_for_their_end_whatever_its_channel(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell, channel: Channel
) -> None:
    begin, end = around_now()
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


def test_quiet_hours_are_those_of_the_accounts_own_time_zone(fixtures: Fixtures, context: StepContext) -> None:
    begin, end = around_now()
    asleep = fixtures.account(quiet_hours=(begin, end), time_zone="UTC")
    awake = fixtures.account(quiet_hours=(begin, end), time_zone="Etc/GMT+9")
    lost = fixtures.account(quiet_hours=(begin, end), time_zone="Atlantis/Capital")
    message_id = fixtures.message(asleep, awake, lost)

    decide(context, [message_id])

    assert [State.RETRYING, State.DELIVERED, State.RETRYING] == fixtures.states(message_id)


def test_the_door_does_not_wait_for_the_end_of_quiet_hours(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account(quiet_hours=around_now()))
    before = _settled(fixtures, message_id)

    decide(context, [message_id])

    assert (False, True) == (before, _settled(fixtures, message_id))


def test_what_staff_let_go_in_quiet_hours_waits_for_their_end(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account(quiet_hours=around_now())
    message_id = fixtures.message(account_id, subject=HELD_PHRASE)
    decide(context, [message_id])
    held = fixtures.states(message_id)
    vet(context, [message_id])

    close_case(context, fixtures.case(message_id).case_id, APPROVED)

    assert ([State.HELD], [State.RETRYING], [QUIET]) == (
        held,
        fixtures.states(message_id),
        fixtures.reasons(message_id),
    )


def test_a_letter_put_off_is_delivered_to_the_inbox_once_it_is_time(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account(quiet_hours=around_now())
    message_id = fixtures.message(account_id)
    decide(context, [message_id])
    early = fixtures.recipient_ids(message_id)
    deliver(context, early)
    before = fixtures.states(message_id)
    wake(fixtures)

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


def test_many_letters_put_off_are_delivered_in_a_handful_of_statements(
    fixtures: Fixtures, context: StepContext
) -> None:
    message_ids = [fixtures.message(fixtures.account(quiet_hours=around_now())) for _ in range(20)]
    decide(context, message_ids)
    wake(fixtures)
    ids = [each for message_id in message_ids for each in fixtures.recipient_ids(message_id)]

    with counted(fixtures.database) as statements:
        deliver(context, ids)

    assert 2 == len(statements)
    assert 20 == fixtures.count("inbox_letter")


def test_quiet_hours_are_asked_for_again_at_delivery_and_cost_no_try(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])
    fixtures.ask("UPDATE recipient SET attempt = 9")
    fall_asleep(fixtures)

    deliver(context, fixtures.recipient_ids(message_id))

    recipient = fixtures.recipient(message_id)
    assert ([], State.RETRYING, QUIET) == (relay.letters, recipient.state, recipient.reason)
    assert recipient.due_at is not None
    assert AN_HOUR < recipient.due_at - recipient.changed_at <= 2 * AN_HOUR


@pytest.mark.parametrize("number", [0, 9, 20])
def test_a_recipient_that_was_put_off_is_always_tried_once_more(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, number: int
) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])
    fixtures.ask("UPDATE recipient SET attempt = :number", number=number)
    fall_asleep(fixtures)
    deliver(context, fixtures.recipient_ids(message_id))
    wake(fixtures)

    deliver(context, fixtures.recipient_ids(message_id))

    assert ([State.DELIVERED], 1) == (fixtures.states(message_id), len(relay.letters))


def test_who_moves_to_email_while_waiting_for_the_inbox_is_handed_to_the_other_lane(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    account_id = fixtures.account(quiet_hours=around_now())
    message_id = fixtures.message(account_id)
    decide(context, [message_id])
    fixtures.ask("UPDATE preference SET channel = 'email'")
    wake(fixtures)

    deliver(context, fixtures.recipient_ids(message_id))
    between = fixtures.recipient(message_id)
    deliver(context, fixtures.recipient_ids(message_id))

    assert (State.RETRYING, Channel.EMAIL) == (between.state, between.channel)
    assert ([State.DELIVERED], 1, []) == (fixtures.states(message_id), len(relay.letters), fixtures.inbox(account_id))


def test_an_inbox_delivery_that_was_cut_off_is_made_again_and_is_no_duplicate(
    fixtures: Fixtures, context: StepContext
) -> None:
    account_id = fixtures.account(quiet_hours=around_now())
    message_id = fixtures.message(account_id)
    decide(context, [message_id])
    wake(fixtures)
    with transaction(fixtures.database) as db:
        claims.claim(db, fixtures.recipient_ids(message_id), token=uuid7(), lease=AN_HOUR)
    fixtures.let_pass(AN_HOUR)

    expire_leases(context, fixtures.recipient_ids(message_id))
    between = fixtures.recipient(message_id)
    deliver(context, fixtures.recipient_ids(message_id))

    after = fixtures.recipient(message_id)
    assert (State.RETRYING, None) == (between.state, between.reason)
    assert (State.DELIVERED, False, 2) == (after.state, after.possibly_duplicated, after.attempt)
    assert [message_id] == fixtures.inbox(account_id)


def test_the_sweep_delivers_what_was_put_off(fixtures: Fixtures, context: StepContext, relay: RecordingSender) -> None:
    brisk = context.settings.model_copy(update={"sweep_tick_s": 0.02})
    mail, inbox, moved = (
        fixtures.message(fixtures.account(channel, quiet_hours=around_now()))
        for channel in (Channel.EMAIL, Channel.INBOX, Channel.INBOX)
    )
    decide(context, [mail, inbox, moved])
    fixtures.ask(
        "UPDATE preference SET channel = 'email' WHERE account_id = :id", id=fixtures.recipient(moved).account_id
    )
    wake(fixtures)
    sweep = Sweep(
        replace(context, settings=brisk, doorbell=SilentDoorbell()),
        tuple(SWEEP_QUERIES),
        _run_on_a_thread,
    )

    sweep.start()
    try:
        wait_until(lambda: all([State.DELIVERED] == fixtures.states(each) for each in (mail, inbox, moved)))
    finally:
        sweep.stop()

    assert {mail, moved} == {letter.message_id for letter in relay.letters}
    assert 1 == fixtures.count("inbox_letter")


@pytest.mark.parametrize(
    ("preferences", "reason"),
    [
        ({"sender_rule": SenderRule.BLOCK, "senders": ("Grace@Example.com",)}, Reason.SENDER_NOT_WANTED),
        ({"sender_rule": SenderRule.ALLOW, "senders": ("else@example.com",)}, Reason.SENDER_NOT_WANTED),
        ({"muted_until": datetime(2999, 1, 1, tzinfo=UTC)}, Reason.MUTED),
    ],
)
def test_wishes_about_senders_and_time_are_asked_for_at_the_decision_and_again_at_delivery(
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


def test_a_client_is_known_to_lists_by_its_id(fixtures: Fixtures, context: StepContext) -> None:
    senders = (str(fixtures.client_id).upper(),)
    allowing = fixtures.account(sender_rule=SenderRule.ALLOW, senders=senders)
    blocking = fixtures.account(sender_rule=SenderRule.BLOCK, senders=senders)
    message_id = fixtures.message(allowing, blocking)

    decide(context, [message_id])

    assert [State.DELIVERED, State.BLOCKED] == fixtures.states(message_id)


def _settled(fixtures: Fixtures, message_id: UUID) -> bool:
    """Say whether the door would answer now."""
    with transaction(fixtures.database) as db:
        return message_id in messages.progress(db, [message_id], settled_only=True)


def _run_on_a_thread(work: Work) -> Callable[[], None]:
    thread = threading.Thread(target=work)
    thread.start()
    return thread.join
