"""The lines to the relay: never more than mails may be sent at once, whatever number of threads sends."""

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

Hire = Callable[..., SmtpSender]


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """Serve a mailbox that takes everything."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture
def hire(smtp_server: SmtpServer) -> Iterator[Hire]:
    """Make senders to this mailbox; all hang up in the end."""
    hired: list[SmtpSender] = []

    def make(**chosen: Any) -> SmtpSender:
        hired.append(SmtpSender(build.settings(smtp_url=smtp_server.url, **chosen)))
        return hired[-1]

    yield make
    for sender in hired:
        hang_up(sender)


def test_more_threads_than_lines_take_turns(smtp_server: SmtpServer, hire: Hire) -> None:
    sender = hire(smtp_concurrency=2)

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(sender.send, [build.claimed(recipient_id=number) for number in range(1, 31)]))

    assert [Outcome(OutcomeKind.SENT)] * 30 == outcomes
    assert 30 == len({mail.sender for mail in smtp_server.mails})
    assert smtp_server.connections <= 2


def test_threads_that_send_one_after_the_other_keep_one_connection(smtp_server: SmtpServer, hire: Hire) -> None:
    sender = hire(smtp_concurrency=8)

    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(sender.send, build.claimed()).result()

    assert (1, 3) == (smtp_server.connections, len(smtp_server.mails))


def test_a_mail_for_which_no_line_comes_free_in_time_is_tried_later(smtp_server: SmtpServer, hire: Hire) -> None:
    sender = hire(smtp_concurrency=1, send_deadline_s=0.2)

    with sender._pool.borrow(1):
        outcome = sender.send(build.claimed())

    assert (OutcomeKind.TEMPORARY, Reason.TRY_LATER) == (outcome.kind, outcome.reason)
    assert [] == smtp_server.commands
    assert Outcome(OutcomeKind.SENT) == sender.send(build.claimed())


class _BreaksOnce(NoJournal):
    """A journal with a defect that shows once."""

    is_broken = True

    def record_data_end(self, entry: AttemptKey) -> None:
        """Break, the first time."""
        was_broken, self.is_broken = self.is_broken, False
        if was_broken:
            raise ValueError(f"a defect of ours, at {entry}")


def test_after_a_defect_in_the_midst_of_a_mail_the_next_one_has_a_connection_of_its_own(
    smtp_server: SmtpServer, hire: Hire
) -> None:
    sender = hire(smtp_concurrency=1, smtp_timeout_s=0.4, send_deadline_s=0.4)
    sender._journal = _BreaksOnce()

    with pytest.raises(ValueError, match="a defect of ours"):
        sender.send(build.claimed(recipient_id=1))

    assert Outcome(OutcomeKind.SENT) == sender.send(build.claimed(recipient_id=2))
    assert (2, 1) == (smtp_server.connections, len(smtp_server.mails))


def test_what_a_burst_left_open_is_hung_up_once_it_has_idled_for_too_long(hire: Hire) -> None:
    lines = hire(smtp_concurrency=3)._pool
    with lines.borrow(1) as first, lines.borrow(1) as second, lines.borrow(1) as third:
        for line in (first, second, third):
            line.connect(1)[0].count()
    for line in lines._kept:
        assert line.connection is not None
        line.connection._used_at -= 60

    for _ in range(3):
        with lines.borrow(1) as line:
            line.connect(1)[0].count()

    assert 1 == len(lines._kept)


def test_the_final_dot_does_not_wait_for_an_acknowledgement(hire: Hire) -> None:
    with hire()._pool.borrow(1) as line:
        connection, _ = line.connect(1)
        assert connection.smtp.sock is not None
        assert connection.smtp.sock.getsockopt(IPPROTO_TCP, TCP_NODELAY)
