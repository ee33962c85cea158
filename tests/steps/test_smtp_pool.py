"""The pool never opens more connections to the relay than its setting allows, however many threads send."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

import pytest

from delivery.attempt_journal import AttemptKey, NoJournal
from delivery.channels.email.sender import SmtpSender
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import Reason
from tests.support import build
from tests.support.smtp_server import SmtpServer, hang_up, open_smtp_server

MakeSender = Callable[..., SmtpSender]


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """Yield a relay that accepts everything."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture
def make_sender(smtp_server: SmtpServer) -> Iterator[MakeSender]:
    """Yield a function that makes senders to this relay; all are closed at the end."""
    senders: list[SmtpSender] = []

    def make(**chosen: Any) -> SmtpSender:
        senders.append(SmtpSender(build.settings(smtp_url=smtp_server.url, **chosen)))
        return senders[-1]

    yield make
    for sender in senders:
        hang_up(sender)


def test_more_threads_than_connections_take_turns(smtp_server: SmtpServer, make_sender: MakeSender) -> None:
    sender = make_sender(smtp_concurrency=2)

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(sender.send, [build.claimed(recipient_id=number) for number in range(1, 31)]))

    assert [Outcome(OutcomeKind.SENT)] * 30 == outcomes
    assert 30 == len({mail.sender for mail in smtp_server.mails})
    assert smtp_server.connections <= 2


def test_threads_that_send_one_after_the_other_keep_one_connection(
    smtp_server: SmtpServer, make_sender: MakeSender
) -> None:
    sender = make_sender(smtp_concurrency=8)

    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(sender.send, build.claimed()).result()

    assert (1, 3) == (smtp_server.connections, len(smtp_server.mails))


def test_a_mail_without_a_free_connection_in_time_is_tried_later(
    smtp_server: SmtpServer, make_sender: MakeSender
) -> None:
    sender = make_sender(smtp_concurrency=1, send_deadline_s=0.2)

    with sender._pool.borrow(1):
        outcome = sender.send(build.claimed())

    assert (OutcomeKind.UNTRIED, Reason.TRY_LATER) == (outcome.kind, outcome.reason)
    assert [] == smtp_server.commands
    assert Outcome(OutcomeKind.SENT) == sender.send(build.claimed())


class _BreaksOnce(NoJournal):
    """A journal with a defect that raises once."""

    is_broken = True

    def record_data_end(self, entry: AttemptKey) -> None:
        """Raise, the first time."""
        was_broken, self.is_broken = self.is_broken, False
        if was_broken:
            raise ValueError(f"a defect of ours, at {entry}")


def test_after_a_defect_during_a_mail_the_next_one_gets_a_new_connection(
    smtp_server: SmtpServer, make_sender: MakeSender
) -> None:
    sender = make_sender(smtp_concurrency=1, smtp_timeout_s=0.4, send_deadline_s=0.4)
    sender._journal = _BreaksOnce()

    with pytest.raises(ValueError, match="a defect of ours"):
        sender.send(build.claimed(recipient_id=1))

    assert Outcome(OutcomeKind.SENT) == sender.send(build.claimed(recipient_id=2))
    assert (2, 1) == (smtp_server.connections, len(smtp_server.mails))


def test_connections_of_a_burst_are_closed_after_idling_too_long(make_sender: MakeSender) -> None:
    pool = make_sender(smtp_concurrency=3)._pool
    with pool.borrow(1) as first, pool.borrow(1) as second, pool.borrow(1) as third:
        for pooled in (first, second, third):
            pooled.connect(1)[0].count()
    for pooled in pool._kept:
        assert pooled.connection is not None
        pooled.connection._used_at -= 60

    for _ in range(3):
        with pool.borrow(1) as pooled:
            pooled.connect(1)[0].count()

    assert 1 == len(pool._kept)


def test_nagle_is_off_so_that_the_end_of_data_is_sent_at_once(make_sender: MakeSender) -> None:
    with make_sender()._pool.borrow(1) as pooled:
        connection, _ = pooled.connect(1)
        assert connection.smtp.sock is not None
        assert connection.smtp.sock.getsockopt(IPPROTO_TCP, TCP_NODELAY)
