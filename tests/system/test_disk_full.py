"""On a full disk the API answers 503 within seconds, nothing is lost, and all processes recover once there is space."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from random import Random
from time import monotonic
from uuid import UUID

import httpx2
import pytest
from psycopg import connect

from delivery.records.database import Database, answers
from delivery.records.migrate import migrate
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tests.support.api_client import key_of
from tests.support.disks import Disk, small_disk
from tests.support.fixtures import Fixtures
from tests.support.platform import Platform, short_folder
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup, failed_checks, open_process_group
from tests.support.processes import START_S
from tests.support.smtp_server import SmtpServer, open_smtp_server
from tests.support.waiting import wait_until
from worker.embedded.servers import Server, named_database, prepare_postgres
from worker.embedded.system_user import run_as

pytestmark = pytest.mark.xdist_group("drills")
_POSTGRES = "postgres"
_PROCESSES = (API, DECIDE, SMTP)
_DATABASE = "drill"
_DISK_MB = 64
# PostgreSQL reuses the files of its log. When it must keep them, as for a disconnected replica, they need space.
_KEEP_WAL = ("-c", "wal_keep_size=1GB")
_BACKLOG = 20
_INBOX_LETTERS, _MAILS = 24, 1
_REFUSALS = 5
# The API gives up after 1.5 s (test_database_outages.py checks that); the rest is for a busy machine.
_REFUSED_S = 5.0
# The promise is ten seconds; the rest is for a busy machine.
_RECOVERED_S = 10.0 + 5.0
# An outcome that could not be recorded waits for the end of its lease: 15 s and this deadline.
_DEADLINE_S = 5.0
_SETTLED_S = 90.0
_EVENTS_OF_DEFECTS = ("step_failed", "request_broke", "accept_broke", "sweep_broken", "watch_broken", "reader_broken")
_STORED = """
    SELECT count(DISTINCT message.id), count(inbox_letter.message_id)
    FROM message LEFT JOIN inbox_letter ON inbox_letter.message_id = message.id WHERE client_id = :id
"""


@dataclass(frozen=True, slots=True)
class PostgresOnSmallDisks:
    """A PostgreSQL with its write-ahead log on one small disk and our tables on another."""

    server: Server
    wal: Disk
    tables: Disk

    def supervise(self, group: ProcessGroup) -> None:
        """Start PostgreSQL if it does not run, as a supervisor would."""
        running = group.processes.get(_POSTGRES)
        if running is None or running.poll() is not None:
            group.serve(_POSTGRES, self.server, *_KEEP_WAL)

    def is_served(self, group: ProcessGroup) -> bool:
        """Return whether PostgreSQL answers, and start it if it does not run."""
        self.supervise(group)
        return answers(self.server.url)

    def make_database(self) -> None:
        """Create the database on the disk for tables."""
        with connect(self.server.url, autocommit=True) as db:
            db.execute(f"CREATE TABLESPACE small LOCATION '{self.tables.path}'".encode())
            db.execute(f"CREATE DATABASE {_DATABASE} TABLESPACE small STRATEGY file_copy".encode())


@pytest.fixture(scope="module")
def smtp_server() -> Iterator[SmtpServer]:
    """Yield a relay that accepts everything."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture(scope="module")
def postgres(servers: object) -> Iterator[PostgresOnSmallDisks]:
    """Yield a PostgreSQL of this file's own, not started yet."""
    del servers  # That fixture skips or fails where there is no PostgreSQL.
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        wal, tables = [stack.enter_context(small_disk(folder / name, _DISK_MB)) for name in ("wal", "tables")]
        server = prepare_postgres(folder / "postgres")
        if server.user:
            shutil.chown(tables.path, server.user)
        _move_wal(folder / "postgres" / "pg_wal", wal, server)
        yield PostgresOnSmallDisks(server, wal, tables)


@pytest.fixture(scope="module")
def own_settings(base_settings: Settings, postgres: PostgresOnSmallDisks) -> Settings:
    """Return settings for a database on that PostgreSQL."""
    url = named_database(postgres.server.url, _DATABASE)
    return Settings.model_validate({**base_settings.model_dump(), "database_url": url, "send_deadline_s": _DEADLINE_S})


@pytest.fixture(scope="module")
def group(
    own_settings: Settings, own_store: Database, postgres: PostgresOnSmallDisks, smtp_server: SmtpServer
) -> Iterator[ProcessGroup]:
    """Yield the API and all workers, running on that database."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        group = stack.enter_context(open_process_group(folder, own_settings, smtp_url=smtp_server.url))
        wait_until(lambda: postgres.is_served(group), within_s=START_S)
        postgres.make_database()
        migrate(own_store)
        group.start(*_PROCESSES)
        group.await_ready(own_store, *_PROCESSES)
        yield group


@pytest.fixture
def fixtures(group: ProcessGroup, own_store: Database, own_settings: Settings) -> Fixtures:
    """Return fixtures whose client's key the requests use."""
    fixtures = Fixtures(own_store)
    group.key = key_of(fixtures, own_settings, fixtures.client_id)
    return fixtures


@dataclass
class LongMessageSender:
    """A client that sends long messages and records which were accepted and which refused."""

    group: ProcessGroup
    accounts: list[UUID]
    accepted: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    def send(self) -> None:
        """Send one message."""
        key = f"order-{len(self.accepted) + len(self.refused)}"
        (self.accepted.add if self._is_accepted(key) else self.refused.append)(key)

    def send_refused_again(self) -> None:
        """Send each refused message again until it is accepted."""
        while self.refused:
            wait_until(lambda: self._is_accepted(self.refused[0]), within_s=_RECOVERED_S)
            self.accepted.add(self.refused.pop(0))

    def _is_accepted(self, key: str) -> bool:
        started_at = monotonic()
        answer = self.group.post(*self.accounts, body=_long_body(key), headers={"Idempotency-Key": key})
        self.longest_s = max(self.longest_s, monotonic() - started_at)
        assert answer.status_code in {201, 503}, answer.text
        assert answer.status_code == 201 or answer.json()["error"] == "unavailable"
        return answer.status_code == 201


@pytest.mark.parametrize(
    ("which", "evidence"), [("tables", "could not extend file"), ("wal", "PANIC")], ids=["tables", "wal"]
)
def test_on_a_full_disk_the_api_answers_503_within_seconds_and_all_processes_recover_once_there_is_space(  # noqa: PLR0917 - pytest's
    group: ProcessGroup,
    fixtures: Fixtures,
    smtp_server: SmtpServer,
    postgres: PostgresOnSmallDisks,
    own_settings: Settings,
    which: str,
    evidence: str,
) -> None:
    disk: Disk = getattr(postgres, which)
    sender = LongMessageSender(group, [*fixtures.accounts(_INBOX_LETTERS), *fixtures.accounts(_MAILS, Channel.EMAIL)])
    before = {name: group.living[name] for name in _PROCESSES}
    smtp_server.mails.clear()
    group.send_signal(DECIDE, signal.SIGSTOP)
    for _ in range(_BACKLOG):
        sender.send()
    logged_before = len(_logged(group))

    disk.fill()
    group.send_signal(DECIDE, signal.SIGCONT)
    while len(sender.refused) < _REFUSALS or "store_unavailable" not in _logged(group)[logged_before:]:
        disk.fill()  # PostgreSQL may have deleted a file.
        postgres.supervise(group)
        sender.send()
    disk.clear()
    wait_until(lambda: postgres.is_served(group), within_s=START_S)
    back_at = monotonic()
    sender.send_refused_again()
    took_s = monotonic() - back_at
    wait_until(lambda: _is_settled(fixtures), within_s=_SETTLED_S)

    assert evidence in (group.folder / f"{_POSTGRES}.log").read_text()
    assert took_s < _RECOVERED_S
    assert sender.longest_s < _REFUSED_S
    assert before == {name: group.living.get(name) for name in _PROCESSES}
    assert [] == [event for event in _EVENTS_OF_DEFECTS if event in _logged(group)]
    _check_stored_and_mailed(fixtures, smtp_server, messages=len(sender.accepted))
    assert [] == fixtures.run_sql("SELECT id FROM message WHERE deaths > 0")
    assert [] == failed_checks(own_settings, fixtures.database)


def test_postroom_up_on_a_full_disk_answers_503_and_recovers_once_there_is_space() -> None:
    with short_folder() as folder, small_disk(folder / "disk", 3 * _DISK_MB) as disk:
        platform = Platform(disk.path / "var")
        platform.start()
        try:
            before = _child_pids(platform)
            # Logs, journals, mails and the broker's file have no space either.
            refused = _fill_until_refused(platform, disk)
            disk.clear()
            wait_until(lambda: platform.post("inbox-01", "email-01").status_code == 201, within_s=_RECOVERED_S)
            after = _child_pids(platform)
        finally:
            platform.stop()

    assert (503, "unavailable") == (refused.status_code, refused.json()["error"])
    assert before == after


def _check_stored_and_mailed(fixtures: Fixtures, smtp_server: SmtpServer, *, messages: int) -> None:
    """Check that each of these messages reached every inbox and was mailed, and that extra mails are flagged."""
    assert (messages, _INBOX_LETTERS * messages) == tuple(fixtures.run_sql(_STORED, id=fixtures.client_id)[0])
    assert messages == len({message_from_bytes(each.wire)["Message-ID"] for each in smtp_server.mails})
    # A mail may have been in flight when PostgreSQL stopped; then its recipient is flagged.
    possibly_duplicated = fixtures.run_sql("SELECT id FROM recipient WHERE possibly_duplicated")
    assert len(smtp_server.mails) - messages <= len(possibly_duplicated)


def _fill_until_refused(platform: Platform, disk: Disk) -> httpx2.Response:
    for number in range(1000):
        disk.fill()
        answer = platform.post("inbox-01", "email-01", body=_long_body(f"order-{number}"))
        if answer.status_code != 201:
            return answer
    pytest.fail("the disk is never full")


def _child_pids(platform: Platform) -> list[int]:
    return [platform.child(words).pid for words in ("-m api_stub", "worker decide", "worker smtp", "worker sink")]


def _long_body(key: str) -> str:
    """Return a long body that PostgreSQL cannot compress, the same for each key; longer ones are held for staff."""
    return Random(key).randbytes(11_000).hex()


def _is_settled(fixtures: Fixtures) -> bool:
    fixtures.database.dispose()  # The test's own connections may be broken.
    return not fixtures.run_sql("SELECT FROM recipient WHERE state <> 'delivered' LIMIT 1")


def _logged(group: ProcessGroup) -> str:
    """Return all that our processes logged."""
    return "".join((group.folder / f"{name}.log").read_text() for name in _PROCESSES)


def _move_wal(folder: Path, disk: Disk, server: Server) -> None:
    """Move the write-ahead log to this disk, in files of 1 MiB, so that a full disk has an effect soon."""
    target = disk.path / folder.name
    shutil.copytree(folder, target)
    shutil.rmtree(folder)
    folder.symlink_to(target)
    if server.user:
        for each in (target, *target.rglob("*")):
            shutil.chown(each, server.user)
    program = Path(server.arguments[0]).with_name("pg_resetwal")
    command = [str(program), "-D", str(folder.parent), "--wal-segsize=1"]
    subprocess.run(command, cwd="/", check=True, capture_output=True, **run_as(server.user))
