"""A full disk below PostgreSQL: the door refuses within seconds, nothing is lost, and all go on once there is room."""

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
from tests.support.process_group import API, DECIDE, SMTP, START_S, ProcessGroup, failed_checks, open_process_group
from tests.support.smtp_server import SmtpServer, open_smtp_server
from tests.support.waiting import wait_until
from worker.embedded.servers import Server, named_database, prepare_postgres

pytestmark = pytest.mark.xdist_group("drills")
_STORE = "postgres"
_OURS = (API, DECIDE, SMTP)
_DATABASE = "drill"
_DISK_MB = 64
# PostgreSQL writes over logs that it needs no more. Kept, as for a replica that is away, they need room.
_KEEP_LOGS = ("-c", "wal_keep_size=1GB")
_BACKLOG = 20
_LETTERS, _MAILS = 24, 1
_REFUSALS = 5
# The door gives up after 1.5 s (test_store_outages.py holds it to that); the rest is for a busy machine.
_REFUSED_S = 5.0
# The promise is ten seconds; the rest is for a busy machine.
_RECOVERED_S = 10.0 + 5.0
# An outcome that could not be recorded waits for the end of its lease: 15 s and this.
_DEADLINE_S = 5.0
_SETTLED_S = 90.0
_EVENTS_OF_DEFECTS = ("step_failed", "request_broke", "accept_broke", "sweep_broken", "watch_broken", "reader_broken")
_STORED = """
    SELECT count(DISTINCT message.id), count(inbox_letter.message_id)
    FROM message LEFT JOIN inbox_letter ON inbox_letter.message_id = message.id WHERE client_id = :id
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A PostgreSQL whose log lies on one small disk, and our tables on another."""

    server: Server
    log: Disk
    tables: Disk

    def supervise(self, group: ProcessGroup) -> None:
        """Start it, and start it again when it has ended, as whoever runs it would."""
        running = group.processes.get(_STORE)
        if running is None or running.poll() is not None:
            group.serve(_STORE, self.server, *_KEEP_LOGS)

    def is_served(self, group: ProcessGroup) -> bool:
        """Say whether it answers, and see to it."""
        self.supervise(group)
        return answers(self.server.url)

    def make_database(self) -> None:
        """Make the database on its disk."""
        with connect(self.server.url, autocommit=True) as db:
            db.execute(f"CREATE TABLESPACE small LOCATION '{self.tables.path}'".encode())
            db.execute(f"CREATE DATABASE {_DATABASE} TABLESPACE small STRATEGY file_copy".encode())


@pytest.fixture(scope="module")
def smtp_server() -> Iterator[SmtpServer]:
    """Give a relay that takes everything."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture(scope="module")
def place(servers: object) -> Iterator[Place]:
    """Give a PostgreSQL of this file's own, not started yet."""
    del servers  # They skip or fail where there is no PostgreSQL.
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        log, tables = [stack.enter_context(small_disk(folder / name, _DISK_MB)) for name in ("log", "tables")]
        server = prepare_postgres(folder / "postgres")
        if server.user:
            shutil.chown(tables.path, server.user)
        _move_log(folder / "postgres" / "pg_wal", log, server)
        yield Place(server, log, tables)


@pytest.fixture(scope="module")
def own_settings(base_settings: Settings, place: Place) -> Settings:
    """Give settings for a database on that PostgreSQL."""
    url = named_database(place.server.url, _DATABASE)
    return Settings.model_validate({**base_settings.model_dump(), "database_url": url, "send_deadline_s": _DEADLINE_S})


@pytest.fixture(scope="module")
def group(own_settings: Settings, own_store: Database, place: Place, smtp_server: SmtpServer) -> Iterator[ProcessGroup]:
    """Give a whole crew at work on that database."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        group = stack.enter_context(open_process_group(folder, own_settings, smtp_url=smtp_server.url))
        wait_until(lambda: place.is_served(group), within_s=START_S)
        place.make_database()
        migrate(own_store)
        group.start(*_OURS)
        group.await_ready(own_store, *_OURS)
        yield group


@pytest.fixture
def fixtures(group: ProcessGroup, own_store: Database, own_settings: Settings) -> Fixtures:
    """Give the records of a client whose key the crew's API is asked with."""
    fixtures = Fixtures(own_store)
    group.key = key_of(fixtures, own_settings, fixtures.client_id)
    return fixtures


@dataclass
class SendingThread:
    """Somebody who sends long messages and takes note of what is answered."""

    group: ProcessGroup
    accounts: list[UUID]
    taken: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    def send(self) -> None:
        """Send one."""
        key = f"order-{len(self.taken) + len(self.refused)}"
        (self.taken.add if self._is_taken(key) else self.refused.append)(key)

    def insist(self) -> None:
        """Send again what was refused, until it is taken."""
        while self.refused:
            wait_until(lambda: self._is_taken(self.refused[0]), within_s=_RECOVERED_S)
            self.taken.add(self.refused.pop(0))

    def _is_taken(self, key: str) -> bool:
        began = monotonic()
        answer = self.group.post(*self.accounts, body=_long(key), headers={"Idempotency-Key": key})
        self.longest_s = max(self.longest_s, monotonic() - began)
        assert answer.status_code in {201, 503}, answer.text
        assert answer.status_code == 201 or answer.json()["error"] == "unavailable"
        return answer.status_code == 201


@pytest.mark.parametrize(
    ("which", "evidence"), [("tables", "could not extend file"), ("log", "PANIC")], ids=["tables", "log"]
)
def test_a_full_disk_is_refused_within_seconds_and_all_go_on_once_there_is_room(  # noqa: PLR0917 - pytest's
    group: ProcessGroup,
    fixtures: Fixtures,
    smtp_server: SmtpServer,
    place: Place,
    own_settings: Settings,
    which: str,
    evidence: str,
) -> None:
    disk: Disk = getattr(place, which)
    sender = SendingThread(group, [*fixtures.accounts(_LETTERS), *fixtures.accounts(_MAILS, Channel.EMAIL)])
    before = {name: group.living[name] for name in _OURS}
    smtp_server.mails.clear()
    group.send_signal(DECIDE, signal.SIGSTOP)
    for _ in range(_BACKLOG):
        sender.send()
    told_before = len(_told(group))

    disk.fill()
    group.send_signal(DECIDE, signal.SIGCONT)
    while len(sender.refused) < _REFUSALS or "store_unavailable" not in _told(group)[told_before:]:
        disk.fill()  # PostgreSQL may have thrown something away.
        place.supervise(group)
        sender.send()
    disk.clear()
    wait_until(lambda: place.is_served(group), within_s=START_S)
    back_at = monotonic()
    sender.insist()
    took_s = monotonic() - back_at
    wait_until(lambda: _is_settled(fixtures), within_s=_SETTLED_S)

    assert evidence in (group.folder / f"{_STORE}.log").read_text()
    assert took_s < _RECOVERED_S
    assert sender.longest_s < _REFUSED_S
    assert before == {name: group.living.get(name) for name in _OURS}
    assert [] == [event for event in _EVENTS_OF_DEFECTS if event in _told(group)]
    messages = len(sender.taken)
    assert (messages, _LETTERS * messages) == tuple(fixtures.ask(_STORED, id=fixtures.client_id)[0])
    assert messages == len({message_from_bytes(each.wire)["Message-ID"] for each in smtp_server.mails})
    # One may have been on the wire when PostgreSQL ended; that it may come twice is told.
    doubled = fixtures.ask("SELECT id FROM recipient WHERE possibly_duplicated")
    assert len(smtp_server.mails) - messages <= len(doubled)
    assert [] == fixtures.ask("SELECT id FROM message WHERE deaths > 0")
    assert [] == failed_checks(own_settings, fixtures.database)


def test_postroom_up_on_a_full_disk_refuses_and_goes_on_once_there_is_room() -> None:
    with short_folder() as folder, small_disk(folder / "disk", 3 * _DISK_MB) as disk:
        platform = Platform(disk.path / "var")
        platform.start()
        try:
            before = _our_children(platform)
            # Logs, journals, mails and the broker's file have no room any more either.
            refused = _fill_until_refused(platform, disk)
            disk.clear()
            wait_until(lambda: platform.post("inbox-01", "email-01").status_code == 201, within_s=_RECOVERED_S)
            after = _our_children(platform)
        finally:
            platform.stop()

    assert (503, "unavailable") == (refused.status_code, refused.json()["error"])
    assert before == after


def _fill_until_refused(platform: Platform, disk: Disk) -> httpx2.Response:
    for number in range(1000):
        disk.fill()
        answer = platform.post("inbox-01", "email-01", body=_long(f"order-{number}"))
        if answer.status_code != 201:
            return answer
    pytest.fail("the disk is never full")


def _our_children(platform: Platform) -> list[int]:
    return [platform.child(words).pid for words in ("-m api_stub", "worker decide", "worker smtp", "worker sink")]


def _long(key: str) -> str:
    """Write a long body, for each key the same, that PostgreSQL cannot make shorter."""
    return Random(key).randbytes(30_000).hex()


def _is_settled(fixtures: Fixtures) -> bool:
    fixtures.database.dispose()  # The test's own connections may have died.
    return not fixtures.ask("SELECT FROM recipient WHERE state <> 'delivered' LIMIT 1")


def _told(group: ProcessGroup) -> str:
    """All that our processes logged."""
    return "".join((group.folder / f"{name}.log").read_text() for name in _OURS)


def _move_log(folder: Path, disk: Disk, server: Server) -> None:
    """Have PostgreSQL write its log on this disk, in files of 1 MiB, so that a full disk is felt soon."""
    place = disk.path / folder.name
    shutil.copytree(folder, place)
    shutil.rmtree(folder)
    folder.symlink_to(place)
    if server.user:
        for each in (place, *place.rglob("*")):
            shutil.chown(each, server.user)
    program = Path(server.arguments[0]).with_name("pg_resetwal")
    command = [str(program), "-D", str(folder.parent), "--wal-segsize=1"]
    subprocess.run(command, user=server.user, cwd="/", check=True, capture_output=True)
