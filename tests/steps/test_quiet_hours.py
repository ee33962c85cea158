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
from tests.support.fixtures import Book
from tests.support.statements import counted
from tests.support.step_driver import FakeSender, NotedBells
from tests.support.waiting import wait_until
from worker.runtime.sweep import SWEEP_QUERIES, Sweep, Work

AN_HOUR = timedelta(hours=1)
QUIET = Reason.QUIET_HOURS


def around_now() -> tuple[time, time]:
    """Give quiet hours that began an hour ago and end in about two, in UTC."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return (now - AN_HOUR).time(), (now + 2 * AN_HOUR).time()


def wake(book: Book) -> None:
    """Let everybody's quiet hours be over, and the waiting as well."""
    book.ask("UPDATE preference SET quiet_from = NULL, quiet_until = NULL")
    book.let_pass(timedelta(days=1))


def fall_asleep(book: Book) -> None:
    """Let everybody's quiet hours begin."""
    begin, end = around_now()
    book.ask("UPDATE preference SET quiet_from = :begin, quiet_until = :end", begin=begin, end=end)


@pytest.mark.parametrize("channel", list(Channel))
def test_in_quiet_hours_a_recipient_waits_for_their_end_whatever_its_channel(
    book: Book, context: StepContext, bells: NotedBells, channel: Channel
) -> None:
    begin, end = around_now()
    account_id = book.account(channel, quiet_hours=(begin, end))
    message_id = book.message(account_id)

    decide(context, [message_id])

    recipient = book.recipient(message_id)
    assert (State.RETRYING, QUIET, channel, 0) == (
        recipient.state,
        recipient.reason,
        recipient.channel,
        recipient.attempt,
    )
    assert recipient.due_at is not None
    assert end == recipient.due_at.time().replace(microsecond=0)
    assert ([], [], (1, 0, "pending")) == (list(bells.rung), book.inbox(account_id), book.counters(message_id))


def test_quiet_hours_are_those_of_the_accounts_own_time_zone(book: Book, context: StepContext) -> None:
    begin, end = around_now()
    asleep = book.account(quiet_hours=(begin, end), time_zone="UTC")
    awake = book.account(quiet_hours=(begin, end), time_zone="Etc/GMT+9")
    lost = book.account(quiet_hours=(begin, end), time_zone="Atlantis/Capital")
    message_id = book.message(asleep, awake, lost)

    decide(context, [message_id])

    assert [State.RETRYING, State.DELIVERED, State.RETRYING] == book.states(message_id)


def test_the_door_does_not_wait_for_the_end_of_quiet_hours(book: Book, context: StepContext) -> None:
    message_id = book.message(book.account(quiet_hours=around_now()))
    before = _settled(book, message_id)

    decide(context, [message_id])

    assert (False, True) == (before, _settled(book, message_id))


def test_what_staff_let_go_in_quiet_hours_waits_for_their_end(book: Book, context: StepContext) -> None:
    account_id = book.account(quiet_hours=around_now())
    message_id = book.message(account_id, subject=HELD_PHRASE)
    decide(context, [message_id])
    held = book.states(message_id)
    vet(context, [message_id])

    close_case(context, book.case(message_id).case_id, APPROVED)

    assert ([State.HELD], [State.RETRYING], [QUIET]) == (held, book.states(message_id), book.reasons(message_id))


def test_a_letter_put_off_is_delivered_to_the_inbox_once_it_is_time(book: Book, context: StepContext) -> None:
    account_id = book.account(quiet_hours=around_now())
    message_id = book.message(account_id)
    decide(context, [message_id])
    early = book.recipient_ids(message_id)
    deliver(context, early)
    before = book.states(message_id)
    wake(book)

    deliver(context, book.recipient_ids(message_id))

    recipient = book.recipient(message_id)
    assert [State.RETRYING] == before
    assert (State.DELIVERED, None, 1, False) == (
        recipient.state,
        recipient.reason,
        recipient.attempt,
        recipient.possibly_duplicated,
    )
    assert ([message_id], (0, 1, "sent")) == (book.inbox(account_id), book.counters(message_id))


def test_many_letters_put_off_are_delivered_in_a_handful_of_statements(book: Book, context: StepContext) -> None:
    message_ids = [book.message(book.account(quiet_hours=around_now())) for _ in range(20)]
    decide(context, message_ids)
    wake(book)
    ids = [each for message_id in message_ids for each in book.recipient_ids(message_id)]

    with counted(book.database) as statements:
        deliver(context, ids)

    assert 2 == len(statements)
    assert 20 == book.count("inbox_letter")


def test_quiet_hours_are_asked_for_again_at_delivery_and_cost_no_try(
    book: Book, context: StepContext, relay: FakeSender
) -> None:
    message_id = book.message(book.account(Channel.EMAIL))
    decide(context, [message_id])
    book.ask("UPDATE recipient SET attempt = 9")
    fall_asleep(book)

    deliver(context, book.recipient_ids(message_id))

    recipient = book.recipient(message_id)
    assert ([], State.RETRYING, QUIET) == (relay.letters, recipient.state, recipient.reason)
    assert recipient.due_at is not None
    assert AN_HOUR < recipient.due_at - recipient.changed_at <= 2 * AN_HOUR


@pytest.mark.parametrize("number", [0, 9, 20])
def test_a_recipient_that_was_put_off_is_always_tried_once_more(
    book: Book, context: StepContext, relay: FakeSender, number: int
) -> None:
    message_id = book.message(book.account(Channel.EMAIL))
    decide(context, [message_id])
    book.ask("UPDATE recipient SET attempt = :number", number=number)
    fall_asleep(book)
    deliver(context, book.recipient_ids(message_id))
    wake(book)

    deliver(context, book.recipient_ids(message_id))

    assert ([State.DELIVERED], 1) == (book.states(message_id), len(relay.letters))


def test_who_moves_to_email_while_waiting_for_the_inbox_is_handed_to_the_other_lane(
    book: Book, context: StepContext, relay: FakeSender
) -> None:
    account_id = book.account(quiet_hours=around_now())
    message_id = book.message(account_id)
    decide(context, [message_id])
    book.ask("UPDATE preference SET channel = 'email'")
    wake(book)

    deliver(context, book.recipient_ids(message_id))
    between = book.recipient(message_id)
    deliver(context, book.recipient_ids(message_id))

    assert (State.RETRYING, Channel.EMAIL) == (between.state, between.channel)
    assert ([State.DELIVERED], 1, []) == (book.states(message_id), len(relay.letters), book.inbox(account_id))


def test_an_inbox_delivery_that_was_cut_off_is_made_again_and_is_no_duplicate(book: Book, context: StepContext) -> None:
    account_id = book.account(quiet_hours=around_now())
    message_id = book.message(account_id)
    decide(context, [message_id])
    wake(book)
    with transaction(book.database) as db:
        claims.claim(db, book.recipient_ids(message_id), token=uuid7(), lease=AN_HOUR)
    book.let_pass(AN_HOUR)

    expire_leases(context, book.recipient_ids(message_id))
    between = book.recipient(message_id)
    deliver(context, book.recipient_ids(message_id))

    after = book.recipient(message_id)
    assert (State.RETRYING, None) == (between.state, between.reason)
    assert (State.DELIVERED, False, 2) == (after.state, after.possibly_duplicated, after.attempt)
    assert [message_id] == book.inbox(account_id)


def test_the_sweep_delivers_what_was_put_off(book: Book, context: StepContext, relay: FakeSender) -> None:
    brisk = context.settings.model_copy(update={"sweep_tick_s": 0.02})
    mail, inbox, moved = (
        book.message(book.account(channel, quiet_hours=around_now()))
        for channel in (Channel.EMAIL, Channel.INBOX, Channel.INBOX)
    )
    decide(context, [mail, inbox, moved])
    book.ask("UPDATE preference SET channel = 'email' WHERE account_id = :id", id=book.recipient(moved).account_id)
    wake(book)
    sweep = Sweep(
        replace(context, settings=brisk, doorbell=SilentDoorbell()),
        tuple(SWEEP_QUERIES),
        _run_on_a_thread,
    )

    sweep.start()
    try:
        wait_until(lambda: all([State.DELIVERED] == book.states(each) for each in (mail, inbox, moved)))
    finally:
        sweep.stop()

    assert {mail, moved} == {letter.message_id for letter in relay.letters}
    assert 1 == book.count("inbox_letter")


@pytest.mark.parametrize(
    ("preferences", "reason"),
    [
        ({"sender_rule": SenderRule.BLOCK, "senders": ("Grace@Example.com",)}, Reason.SENDER_NOT_WANTED),
        ({"sender_rule": SenderRule.ALLOW, "senders": ("else@example.com",)}, Reason.SENDER_NOT_WANTED),
        ({"muted_until": datetime(2999, 1, 1, tzinfo=UTC)}, Reason.MUTED),
    ],
)
def test_wishes_about_senders_and_time_are_asked_for_at_the_decision_and_again_at_delivery(
    book: Book, context: StepContext, relay: FakeSender, preferences: dict[str, object], reason: Reason
) -> None:
    early, late = book.account(Channel.EMAIL, **preferences), book.account(Channel.EMAIL)
    message_id = book.message(early, late, sender_email="grace@example.com")
    decide(context, [message_id])
    decided = book.states(message_id)
    with transaction(book.database) as db:
        (facts,) = accounts.find(db, [early])
    book.put(replace(facts, account_id=late))

    deliver(context, book.recipient_ids(message_id))

    assert [State.BLOCKED, State.QUEUED] == decided
    assert ([reason] * 2, []) == (book.reasons(message_id), relay.letters)


def test_a_client_is_known_to_lists_by_its_id(book: Book, context: StepContext) -> None:
    senders = (str(book.client_id).upper(),)
    allowing = book.account(sender_rule=SenderRule.ALLOW, senders=senders)
    blocking = book.account(sender_rule=SenderRule.BLOCK, senders=senders)
    message_id = book.message(allowing, blocking)

    decide(context, [message_id])

    assert [State.DELIVERED, State.BLOCKED] == book.states(message_id)


def _settled(book: Book, message_id: UUID) -> bool:
    """Say whether the door would answer now."""
    with transaction(book.database) as db:
        return message_id in messages.progress(db, [message_id], settled_only=True)


def _run_on_a_thread(work: Work) -> Callable[[], None]:
    thread = threading.Thread(target=work)
    thread.start()
    return thread.join
