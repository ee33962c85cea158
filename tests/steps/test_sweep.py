"""The sweep completes every message without a bell, only later."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.pipeline import claims
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.settings import Settings
from delivery.vocabulary import CaseState, Channel, QueueName, Reason, State
from tasks.broker.backlog import Backlog
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tests.steps.conftest import HELD_PHRASE
from tests.support import build
from tests.support.fixtures import Fixtures
from tests.support.statements import counted
from tests.support.step_driver import RecordingSender
from tests.support.waiting import wait_until
from worker.runtime.sweep import SWEEP_QUERIES, Sweep, Work

LATER = Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER)


@pytest.fixture
def context(context: StepContext, settings: Settings) -> StepContext:
    """Return a context without bells, whose sweep runs every 20 ms."""
    fast = settings.model_copy(update={"sweep_tick_s": 0.02})
    return replace(context, settings=fast, doorbell=SilentDoorbell())


@contextmanager
def sweeping(context: StepContext, backlog: Backlog | None = None) -> Iterator[None]:
    """Run the sweep of a worker of all queues during the block."""
    sweep = Sweep(context, tuple(SWEEP_QUERIES), _run_on_a_thread, backlog)
    sweep.start()
    try:
        yield
    finally:
        sweep.stop()


@dataclass
class FakeBacklog:
    """A broker whose oldest bells never move."""

    oldest: dict[QueueName, datetime]

    def oldest_bells(self) -> dict[QueueName, datetime]:
        """Return them."""
        return self.oldest


def _run_on_a_thread(work: Work) -> None:
    threading.Thread(target=work).start()


def test_everything_is_delivered_without_a_bell(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    message_ids = [fixtures.message(fixtures.account(), *fixtures.accounts(2, Channel.EMAIL)) for _ in range(5)]
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        wait_until(lambda: all([State.QUEUED] * 2 == fixtures.states(each)[1:] for each in message_ids))
        fixtures.let_pass(timedelta(seconds=5))
        wait_until(lambda: all({State.DELIVERED} == set(fixtures.states(each)) for each in message_ids))

    assert (5, 10) == (fixtures.count("inbox_letter"), len(relay.letters))


def test_fresh_work_is_left_to_the_bell(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account())

    with sweeping(context):
        _await_rounds(fixtures, 5)

        assert [State.ACCEPTED] == fixtures.states(message_id)


def test_a_retry_is_made_when_it_is_due_and_not_before(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    relay.answer = lambda letter: LATER if letter.attempt == 1 else Outcome(OutcomeKind.SENT)
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        wait_until(lambda: [State.RETRYING] == fixtures.states(message_id))
        _await_rounds(fixtures, 5)
        attempts = len(relay.letters)
        fixtures.let_pass(timedelta(seconds=30))
        wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id))

    assert (1, 2) == (attempts, len(relay.letters))


def test_an_expired_lease_is_found_and_the_mail_sent_again(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])
    with transaction(fixtures.database) as db:
        claims.claim(db, fixtures.recipient_ids(message_id), token=uuid7(), lease=timedelta(seconds=60))

    with sweeping(context):
        _await_rounds(fixtures, 3)
        within = fixtures.states(message_id)
        fixtures.let_pass(timedelta(seconds=60))
        wait_until(lambda: [State.UNKNOWN] == fixtures.states(message_id))
        fixtures.let_pass(timedelta(seconds=30))
        wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id))

    assert [State.CLAIMED] == within
    assert (2, True) == (fixtures.recipient(message_id).attempt, fixtures.recipient(message_id).possibly_duplicated)
    assert [2] == [letter.attempt for letter in relay.letters]


def test_a_held_message_gets_its_case_and_expires(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [message_id])
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        wait_until(lambda: fixtures.count("vetting_case") == 1)
        fixtures.let_pass(timedelta(days=7))
        wait_until(lambda: [State.REFUSED] == fixtures.states(message_id))

    assert ([Reason.EXPIRED_IN_REVIEW], CaseState.EXPIRED) == (
        fixtures.reasons(message_id),
        fixtures.case(message_id).state,
    )


def test_a_message_that_a_step_fails_on_is_postponed_and_holds_up_no_other(
    fixtures: Fixtures, context: StepContext
) -> None:
    poisoned = fixtures.account()
    fixtures.run_sql("UPDATE preference SET accepted_types = '{nonsense}'")
    broken, good = fixtures.message(poisoned), fixtures.message(fixtures.account())
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        wait_until(lambda: [State.DELIVERED] == fixtures.states(good))
        wait_until(lambda: [Reason.STEP_FAILED] == fixtures.reasons(broken))

    (row,) = fixtures.run_sql(
        "SELECT state, due_at - clock_timestamp() AS pause FROM recipient WHERE message_id = :id", id=broken
    )
    assert State.ACCEPTED == row.state
    assert timedelta(minutes=59) < row.pause <= timedelta(hours=1)


def test_a_message_that_was_postponed_is_taken_up_again(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account())
    fixtures.run_sql("UPDATE preference SET accepted_types = '{nonsense}'")
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        wait_until(lambda: [Reason.STEP_FAILED] == fixtures.reasons(message_id))
        fixtures.run_sql("UPDATE preference SET accepted_types = NULL")
        fixtures.let_pass(timedelta(hours=1))
        wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id))

    assert [None] == fixtures.reasons(message_id)


def test_a_recipient_that_a_sender_fails_on_is_postponed_once(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    def answer(letter: ClaimedDelivery) -> Outcome:
        if letter.subject == "broken":
            raise ZeroDivisionError
        return Outcome(OutcomeKind.SENT)

    relay.answer = answer
    broken, good = (
        fixtures.message(fixtures.account(Channel.EMAIL), subject=subject) for subject in ("broken", "good")
    )
    decide(context, [broken, good])
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        wait_until(lambda: [State.DELIVERED] == fixtures.states(good))
        wait_until(lambda: [Reason.STEP_FAILED] == fixtures.reasons(broken))
        _await_rounds(fixtures, 5)

    assert 1 == sum(letter.message_id == broken for letter in relay.letters)
    assert [State.CLAIMED] == fixtures.states(broken)


def test_two_sweeps_at_once_send_every_mail_once(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    message_ids = [fixtures.message(*fixtures.accounts(2, Channel.EMAIL), fixtures.account()) for _ in range(10)]
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context), sweeping(context):
        wait_until(lambda: all(State.ACCEPTED not in fixtures.states(each) for each in message_ids))
        fixtures.let_pass(timedelta(seconds=5))
        wait_until(lambda: all({State.DELIVERED} == set(fixtures.states(each)) for each in message_ids))

    assert 20 == len({letter.recipient_id for letter in relay.letters}) == len(relay.letters)
    assert 10 == fixtures.count("inbox_letter")


def test_a_mail_that_takes_long_holds_up_no_other(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    may_end = threading.Event()

    def answer(letter: ClaimedDelivery) -> Outcome:
        if letter.subject == "slow":
            may_end.wait(10)
        return Outcome(OutcomeKind.SENT)

    relay.answer = answer
    slow = fixtures.message(fixtures.account(Channel.EMAIL), subject="slow")
    decide(context, [slow])
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        wait_until(lambda: [State.CLAIMED] == fixtures.states(slow))
        other = fixtures.message(fixtures.account(Channel.EMAIL))
        decide(context, [other])
        fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp() WHERE message_id = :id", id=other)
        wait_until(lambda: [State.DELIVERED] == fixtures.states(other))
        unfinished = fixtures.states(slow)
        may_end.set()

    assert ([State.CLAIMED], [State.DELIVERED]) == (unfinished, fixtures.states(slow))
    assert 2 == len(relay.letters)


def test_rows_whose_bell_still_waits_are_left_to_it_however_long_the_backlog(
    fixtures: Fixtures, context: StepContext
) -> None:
    account_id = fixtures.account()
    for _ in range(10):
        fixtures.accept(*(fixtures.incoming(account_id) for _ in range(300)))
    lost = fixtures.run_sql("SELECT min(id) AS first FROM recipient")[0].first
    fixtures.let_pass(timedelta(minutes=10))
    fixtures.run_sql("UPDATE recipient SET due_at = due_at - INTERVAL '1 second' WHERE id <= :id", id=lost)
    (oldest,) = fixtures.run_sql("SELECT min(due_at) AS rung_at FROM recipient WHERE id > :id", id=lost)
    backlog = FakeBacklog({QueueName.DECIDE: oldest.rung_at - timedelta(milliseconds=1)})

    with sweeping(context, backlog):
        wait_until(lambda: fixtures.count("inbox_letter") == 1)
        _await_rounds(fixtures, 5)

        assert 2999 == len(fixtures.run_sql("SELECT FROM recipient WHERE state = 'accepted'"))


def test_what_is_due_by_the_clock_alone_waits_for_no_bell(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    relay.answer = lambda letter: LATER if letter.attempt == 1 else Outcome(OutcomeKind.SENT)
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])
    deliver(context, fixtures.recipient_ids(message_id))
    fixtures.let_pass(timedelta(seconds=30))
    long_ago = build.NOON - timedelta(days=365)

    with sweeping(context, FakeBacklog({QueueName.DELIVER_SMTP: long_ago})):
        wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id))


def _await_rounds(fixtures: Fixtures, number: int) -> None:
    """Wait until a sweep has begun so many more rounds."""
    with counted(fixtures.database) as statements:
        wait_until(lambda: sum("vetting_case.state = 'open'" in each.sql for each in statements) > number)
