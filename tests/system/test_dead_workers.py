"""The work of a killed worker is recovered long before its lease ends, with real processes and `kill -9`."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from delivery.records.database import Database, transaction
from delivery.settings import Settings
from delivery.vocabulary import Channel, State
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.support.fixtures import Fixtures
from tests.support.platform import ROOT
from tests.support.smtp_server import SmtpServer, Trouble, open_smtp_server
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")
_RECOVERED_S = 10.0

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """Yield a relay whose replies a test can set."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture
def start(base_settings: Settings, smtp_server: SmtpServer, tmp_path: Path) -> Iterator[Start]:
    """Yield a function that starts a worker that sends mail; its lease is more than five minutes."""
    environment = {
        **os.environ,  # noqa: TID251 - what children inherit
        "DATABASE_URL": base_settings.database_url.get_secret_value(),
        "BROKER_URL": base_settings.broker_url.get_secret_value(),
        "SMTP_URL": smtp_server.url,
        "POSTROOM_PEPPER": base_settings.pepper.get_secret_value(),
        "POSTROOM_JOURNAL_FOLDER": str(tmp_path),
        "POSTROOM_BELL_GRACE_S": "1",
    }
    with ExitStack() as stack:

        def start_worker() -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "worker", "worker", "smtp"]
            process = subprocess.Popen(command, cwd=ROOT, env=environment)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            return process

        yield start_worker


@pytest.fixture
def queued_mail(database: Database, broker: object, base_settings: Settings) -> tuple[Fixtures, UUID]:
    """Return the fixtures and the id of a message with one queued mail, due at once."""
    del broker
    fixtures = Fixtures(database)
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(StepContext(base_settings, database, SilentDoorbell()), [message_id])
    fixtures.ask("UPDATE recipient SET due_at = clock_timestamp()")
    return fixtures, message_id


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a worker and wait for its end."""
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def test_the_mail_of_a_worker_killed_before_the_end_of_data_is_sent_soon_and_not_flagged(
    queued_mail: tuple[Fixtures, UUID], smtp_server: SmtpServer, start: Start
) -> None:
    fixtures, message_id = queued_mail
    smtp_server.next("RCPT", Trouble.HANG)
    start(), start()
    wait_until(lambda: any(each.startswith("RCPT") for each in smtp_server.commands), within_s=30)

    kill_claimer(fixtures)
    wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id), within_s=_RECOVERED_S)

    assert (2, False) == (fixtures.recipient(message_id).attempt, fixtures.recipient(message_id).possibly_duplicated)
    assert 1 == len(smtp_server.mails)


def test_a_worker_killed_after_the_end_of_data_leaves_an_unknown_outcome(
    queued_mail: tuple[Fixtures, UUID], smtp_server: SmtpServer, start: Start
) -> None:
    fixtures, message_id = queued_mail
    smtp_server.next("DOT", Trouble.HANG)
    start(), start()
    wait_until(lambda: smtp_server.mails, within_s=30)

    kill_claimer(fixtures)

    wait_until(lambda: [State.UNKNOWN] == fixtures.states(message_id), within_s=_RECOVERED_S)
    assert 1 == len(smtp_server.mails)


def test_the_mail_of_a_worker_killed_after_the_reply_is_not_sent_again(
    queued_mail: tuple[Fixtures, UUID], smtp_server: SmtpServer, start: Start, database: Database, tmp_path: Path
) -> None:
    fixtures, message_id = queued_mail
    with transaction(database) as db:
        db.execute(text("SELECT FROM message FOR UPDATE"))  # Meanwhile no outcome can be recorded.
        start(), start()
        wait_until(lambda: any("answer 250" in each.read_text() for each in tmp_path.glob("*.journal")), within_s=30)
        kill_claimer(fixtures)

    wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id), within_s=_RECOVERED_S)
    assert (1, False) == (fixtures.recipient(message_id).attempt, fixtures.recipient(message_id).possibly_duplicated)
    assert 1 == len(smtp_server.mails)


def test_mails_of_workers_killed_at_once_are_sent_before_their_leases_end(
    queued_mail: tuple[Fixtures, UUID], smtp_server: SmtpServer, start: Start
) -> None:
    fixtures, message_id = queued_mail
    smtp_server.next("RCPT", Trouble.HANG)
    group = [start(), start()]
    wait_until(lambda: any(each.startswith("RCPT") for each in smtp_server.commands), within_s=30)
    for each in group:
        kill(each)

    start()

    wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id), within_s=_RECOVERED_S)
    assert 1 == len(smtp_server.mails)


def kill_claimer(fixtures: Fixtures) -> None:
    """Kill the worker that claimed the only mail."""
    (row,) = fixtures.ask("""
        SELECT worker.pid FROM worker JOIN recipient ON left(worker.id::text, 18) = left(claim_token::text, 18)
    """)
    os.kill(row.pid, signal.SIGKILL)
