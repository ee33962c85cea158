"""What a relay refuses before it hears of a mail costs no attempt, and the mails go out once it takes them again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from delivery.attempt_journal import FileJournal
from delivery.channels.email.pooled_connection import NoConnection
from delivery.channels.email.sender import SmtpSender
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import Channel, QueueName, Reason, State
from tasks.context import StepContext
from tasks.runner import DELIVER, StepFailed
from tasks.steps.deliver import deliver
from tests.support import build
from tests.support.fixtures import Fixtures
from tests.support.smtp_sender import make_sender
from tests.support.smtp_server import SmtpServer, hang_up, open_smtp_server
from tests.support.statements import counted
from tests.support.step_driver import RecordingSender
from tests.support.waiting import wait_until
from worker.runtime.sweep import Sweep


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """Yield a relay that accepts everything."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture
def sender(smtp_server: SmtpServer) -> Iterator[SmtpSender]:
    """Yield a sender to this relay with 32 connections."""
    sender = make_sender(smtp_server, smtp_timeout_s=20.0, send_deadline_s=60.0)
    yield sender
    hang_up(sender)


def send_many(sender: SmtpSender, count: int) -> list[Outcome]:
    """Send so many mails on 40 threads."""
    with ThreadPoolExecutor(40) as pool:
        return list(pool.map(sender.send, [build.claimed(recipient_id=number) for number in range(1, count + 1)]))


def test_a_relay_that_takes_three_connections_gets_every_mail_at_its_first_attempt(
    smtp_server: SmtpServer, sender: SmtpSender
) -> None:
    smtp_server.connection_limit = 3

    outcomes = send_many(sender, 200)

    assert [Outcome(OutcomeKind.SENT)] * 200 == outcomes
    assert 200 == len(smtp_server.mails)
    assert sender._pool.limit <= 4


def test_after_a_refusal_the_pool_grows_with_each_mail_once_some_seconds_have_passed(
    smtp_server: SmtpServer, sender: SmtpSender
) -> None:
    pool = sender._pool
    pool.shrink()
    pool.shrink()
    sender.send(build.claimed())
    soon_after = pool.limit
    pool._grows_from -= 60

    sender.send(build.claimed())
    sender.send(build.claimed())

    assert (8, 10) == (soon_after, pool.limit)
    assert 3 == len(smtp_server.mails)


def test_without_any_connection_the_relay_is_away_until_it_lets_us_in_again(smtp_server: SmtpServer) -> None:
    sender = make_sender(smtp_server)
    smtp_server.close()
    outcome = sender.send(build.claimed())
    with sender.turn() as is_granted:
        away = (sender.is_away, is_granted, sender.trouble is not None)

    with open_smtp_server(smtp_server.port):
        wait_until(lambda: not sender.is_away)

        assert (True, False, True) == away
        assert (OutcomeKind.UNTRIED, Reason.TRY_LATER) == (outcome.kind, outcome.reason)
        assert Outcome(OutcomeKind.SENT) == sender.send(build.claimed())
        assert sender.trouble is None
        hang_up(sender)


def test_pauses_between_tries_to_connect_grow_and_are_long_after_a_refused_password(sender: SmtpSender) -> None:
    down, refused = NoConnection("down"), NoConnection("535 no", 535)

    pauses = [sender._pool._pause_s(down) for _ in range(6)]

    assert [0.5, 1.0, 2.0, 4.0, 5.0, 5.0] == pauses
    assert [32.0, 60.0] == [sender._pool._pause_s(refused) for _ in range(2)]


def test_a_relay_that_closes_at_mail_is_away_so_that_no_mail_is_claimed_again_and_again(
    smtp_server: SmtpServer, sender: SmtpSender
) -> None:
    smtp_server.always("MAIL", "421 4.3.2 Shutting down")

    assert OutcomeKind.UNTRIED is sender.send(build.claimed()).kind
    assert sender._pool._failures == 1 or sender.is_away


def test_threads_wait_for_their_turn_before_they_claim(sender: SmtpSender) -> None:
    pool = sender._pool
    for _ in range(5):
        pool.shrink()

    with pool.turn(), pool.turn(), ThreadPoolExecutor(1) as threads:
        third = threads.submit(lambda: pool.turn().__enter__())
        was_waiting = not third.done()
        pool._grows_from = 0.0
        pool.grow()

        assert third.result(10)

    assert was_waiting


def deliver_over(context: StepContext, sender: Any, **more: Any) -> StepContext:
    """Return the context with this sender."""
    return replace(context, senders={Channel.EMAIL: sender}, **more)


def test_an_outage_of_the_relay_costs_a_recipient_no_attempt_and_no_wait(
    fixtures: Fixtures, context: StepContext, smtp_server: SmtpServer, queued: UUID
) -> None:
    sender = make_sender(smtp_server)
    context = deliver_over(context, sender)
    smtp_server.close()
    recipient_ids = fixtures.recipient_ids(queued)

    deliver(context, recipient_ids)
    during = fixtures.recipient(queued)
    with open_smtp_server(smtp_server.port):
        wait_until(lambda: not sender.is_away)
        deliver(context, recipient_ids)
        hang_up(sender)

    assert (State.RETRYING, 0, Reason.TRY_LATER, False) == (
        during.state,
        during.attempt,
        during.reason,
        during.possibly_duplicated,
    )
    assert during.detail is not None
    assert "refused" in during.detail
    after = fixtures.recipient(queued)
    assert (State.DELIVERED, 1, False) == (after.state, after.attempt, after.possibly_duplicated)


def test_while_the_relay_is_away_nothing_is_looked_for_claimed_or_written(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    relay.is_away = True
    sweep = Sweep(context, (QueueName.DELIVER_SMTP,), lambda work: work())

    deliver(context, fixtures.recipient_ids(queued))
    with counted(context.database) as statements:
        sweep._sweep_all()

    assert [State.QUEUED] == fixtures.states(queued)
    assert 1 == len([each for each in statements if "SELECT" in each.sql])


class _BrokenSender(RecordingSender):
    """A sender with a defect, before or after the final dot."""

    def __init__(self, journal: FileJournal, *, is_after_dot: bool) -> None:
        super().__init__()
        self._journal = journal
        self._is_after_dot = is_after_dot

    def send(self, claimed: Any) -> Outcome:
        """Raise."""
        if self._is_after_dot:
            self._journal.record_data_end((claimed.recipient_id, claimed.attempt))
        raise ValueError("context and keyfile arguments are mutually exclusive")


@pytest.mark.parametrize(("is_after_dot", "state", "attempt"), [(False, State.RETRYING, 0), (True, State.CLAIMED, 1)])
def test_a_step_that_broke_before_the_final_dot_gives_its_claim_back_unflagged(  # noqa: PLR0917 - pytest hands them in by name
    fixtures: Fixtures,
    context: StepContext,
    tmp_path: Path,
    queued: UUID,
    is_after_dot: bool,  # noqa: FBT001 - a column
    state: State,
    attempt: int,
) -> None:
    journal = FileJournal(tmp_path, context.worker_id)
    context = deliver_over(context, _BrokenSender(journal, is_after_dot=is_after_dot), journal=journal)

    with pytest.raises(StepFailed):
        DELIVER.run(context, fixtures.recipient_ids(queued))

    recipient = fixtures.recipient(queued)
    assert (state, attempt, Reason.STEP_FAILED, False) == (
        recipient.state,
        recipient.attempt,
        recipient.reason,
        recipient.possibly_duplicated,
    )
