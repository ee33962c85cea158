"""A worker that is killed never costs a lease: real processes, kill -9, and what the relay really received."""

import os
import signal
from collections.abc import Iterator
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
from tests.support.process_group import SMTP, ProcessGroup, open_process_group
from tests.support.smtp_server import SmtpServer, Trouble
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")
_RECOVERY_S = 10.0


@pytest.fixture
def group(base_settings: Settings, smtp_server: SmtpServer, tmp_path: Path) -> Iterator[ProcessGroup]:
    """Yield a group for two workers that send mail; the lease of a mail is more than five minutes."""
    with open_process_group(tmp_path, base_settings, smtp_url=smtp_server.url) as group:
        yield group


def start_two(group: ProcessGroup) -> None:
    """Start two workers that send mail."""
    for suffix in ("", "-2"):
        group.start(SMTP, suffix=suffix)


@pytest.fixture
def queued_mail(database: Database, broker: object, base_settings: Settings) -> tuple[Fixtures, UUID]:
    """Queue one mail, due at once."""
    del broker
    fixtures = Fixtures(database)
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(StepContext(base_settings, database, SilentDoorbell()), [message_id])
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp()")
    return fixtures, message_id


def test_the_mail_of_a_worker_killed_before_the_end_of_data_is_sent_soon_and_not_flagged(
    queued_mail: tuple[Fixtures, UUID], smtp_server: SmtpServer, group: ProcessGroup
) -> None:
    fixtures, message_id = queued_mail
    smtp_server.next("RCPT", Trouble.HANG)
    start_two(group)
    wait_until(lambda: any(each.startswith("RCPT") for each in smtp_server.commands), within_s=30)

    kill_claimer(fixtures)
    wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id), within_s=_RECOVERY_S)

    assert (2, False) == (fixtures.recipient(message_id).attempt, fixtures.recipient(message_id).possibly_duplicated)
    assert 1 == len(smtp_server.mails)


def test_a_worker_killed_after_the_end_of_data_leaves_an_unknown_outcome(
    queued_mail: tuple[Fixtures, UUID], smtp_server: SmtpServer, group: ProcessGroup
) -> None:
    fixtures, message_id = queued_mail
    smtp_server.next("DOT", Trouble.HANG)
    start_two(group)
    wait_until(lambda: smtp_server.mails, within_s=30)

    kill_claimer(fixtures)

    wait_until(lambda: [State.UNKNOWN] == fixtures.states(message_id), within_s=_RECOVERY_S)
    assert 1 == len(smtp_server.mails)


def test_the_mail_of_a_worker_killed_after_the_reply_is_not_sent_again(
    queued_mail: tuple[Fixtures, UUID], smtp_server: SmtpServer, group: ProcessGroup, database: Database, tmp_path: Path
) -> None:
    fixtures, message_id = queued_mail
    with transaction(database) as db:
        db.execute(text("SELECT FROM message FOR UPDATE"))  # No outcome can be recorded meanwhile.
        start_two(group)
        wait_until(
            lambda: any("answer 250" in each.read_text() for each in tmp_path.glob("journals/*.journal")), within_s=30
        )
        kill_claimer(fixtures)

    wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id), within_s=_RECOVERY_S)
    assert (1, False) == (fixtures.recipient(message_id).attempt, fixtures.recipient(message_id).possibly_duplicated)
    assert 1 == len(smtp_server.mails)


def test_mails_of_workers_killed_at_once_are_sent_before_their_leases_end(
    queued_mail: tuple[Fixtures, UUID], smtp_server: SmtpServer, group: ProcessGroup
) -> None:
    fixtures, message_id = queued_mail
    smtp_server.next("RCPT", Trouble.HANG)
    start_two(group)
    wait_until(lambda: any(each.startswith("RCPT") for each in smtp_server.commands), within_s=30)
    group.kill(*group.processes)

    group.start(SMTP)

    wait_until(lambda: [State.DELIVERED] == fixtures.states(message_id), within_s=_RECOVERY_S)
    assert 1 == len(smtp_server.mails)


def kill_claimer(fixtures: Fixtures) -> None:
    """Kill the worker that claimed the one mail there is."""
    (row,) = fixtures.run_sql("""
        SELECT worker.pid FROM worker JOIN recipient ON left(worker.id::text, 18) = left(claim_token::text, 18)
    """)
    os.kill(row.pid, signal.SIGKILL)
