"""Poolers, older servers and replicas of PostgreSQL: what can work does, the rest is refused at the start."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from delivery.records.database import DATABASE_UNAVAILABLE, open_database
from delivery.records.migrate import migrate
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tests.peers.databases import DOCUMENTED, open_old_postgres, open_pgbouncer, open_replicated_postgres
from tests.support import build
from tests.support.api_client import key_of
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, DECIDE, SMTP, open_process_group
from tests.support.processes import run_to_end
from tests.support.seed import environment_of
from tests.support.smtp_server import SmtpServer, open_smtp_server
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("databases"), pytest.mark.timeout(300)]
_ARRIVED_S = 30.0
_COMMANDS = {
    "migrate": ("-m", "worker", "migrate"),
    "api": ("-m", "api_stub", "--port", "0"),
    "worker": ("-m", "worker", "worker", "decide"),
}


@pytest.fixture
def relay() -> Iterator[SmtpServer]:
    """Yield a mail relay that accepts everything."""
    with open_smtp_server() as server:
        yield server


def start_refused(settings: Settings, url: str, command: str) -> str:
    """Start a process with this DATABASE_URL, which has to end at once, and return what it prints."""
    facts = settings.model_dump(include=settings.model_fields_set)
    environment = environment_of({**facts, "database_url": SecretStr(url)})
    done = run_to_end([sys.executable, *_COMMANDS[command]], environment=environment, timeout_s=60)
    assert 1 == done.returncode, done.stderr
    return done.stderr


def test_everything_works_through_pgbouncer_in_session_mode(
    fixtures: Fixtures, base_settings: Settings, open_folder: Path, tmp_path: Path, relay: SmtpServer
) -> None:
    accounts = [fixtures.account(), fixtures.account(Channel.EMAIL)]
    direct = base_settings.database_url.get_secret_value()
    # Both workers and the API open more connections than its default of 20.
    with open_pgbouncer(
        open_folder / "session", direct, mode="session", more=f"{DOCUMENTED}default_pool_size = 90\n"
    ) as url:
        chosen = {"database_url": SecretStr(url), "smtp_url": SecretStr(relay.url)}
        with open_process_group(tmp_path, base_settings, **chosen) as group:
            group.key = key_of(fixtures, base_settings, fixtures.client_id)
            group.start(API, DECIDE, SMTP)
            group.await_ready(fixtures.database)
            # psycopg prepares a statement at its fifth execution.
            answers = [group.post(*accounts, prefer="wait=5") for _ in range(12)]
            statuses = [answer.json()["meta"]["status"] for answer in answers]
            wait_until(lambda: len(relay.mails) == 12, within_s=_ARRIVED_S)

    assert ["sent"] * 12 == statuses
    assert 12 == len(fixtures.inbox(accounts[0]))


@pytest.mark.parametrize("command", list(_COMMANDS))
def test_pgbouncer_in_transaction_mode_is_refused_at_the_start(
    command: str, base_settings: Settings, open_folder: Path
) -> None:
    direct = base_settings.database_url.get_secret_value()
    with open_pgbouncer(open_folder / command, direct, mode="transaction") as url:
        said = start_refused(base_settings, url, command)

    assert "DATABASE_URL leads to a pooler in transaction mode" in said
    assert "Traceback" not in said


def test_pgbouncer_without_the_documented_option_is_refused_with_its_name(
    base_settings: Settings, open_folder: Path
) -> None:
    direct = base_settings.database_url.get_secret_value()
    with open_pgbouncer(open_folder / "default", direct, mode="session", more="") as url:
        said = start_refused(base_settings, url, "worker")

    assert "ignore_startup_parameters = options" in said


def test_postgresql_15_is_refused_at_the_start(base_settings: Settings, open_folder: Path) -> None:
    with open_old_postgres(open_folder / "old") as url:
        said = [start_refused(base_settings, url, command) for command in _COMMANDS]

    assert all("PostgreSQL 15, and Postroom needs 16 or newer" in each for each in said), said


def test_nothing_accepted_is_lost_when_a_replica_of_postgresql_takes_over(
    base_settings: Settings, open_folder: Path, tmp_path: Path
) -> None:
    with open_replicated_postgres(open_folder / "replicated") as servers:
        database = open_database(build.settings(database_url=SecretStr(servers.url)), connections=2)
        migrate(database)
        fixtures = Fixtures(database)
        account = fixtures.account()
        with open_process_group(tmp_path, base_settings, database_url=SecretStr(servers.url)) as group:
            group.key = key_of(fixtures, base_settings, fixtures.client_id)
            group.start(API, DECIDE)
            group.await_ready(database)
            before = [group.post(account).status_code for _ in range(10)]
            wait_until(servers.has_caught_up)

            servers.primary.send_signal(signal.SIGKILL)
            in_the_gap = [group.post(account).status_code for _ in range(3)]
            servers.promote()
            wait_until(lambda: group.post(account).status_code == 201, within_s=_ARRIVED_S)
            wait_until(lambda: _inbox_size(fixtures, account) == 11, within_s=_ARRIVED_S)
        database.dispose()

    assert [201] * 10 == before
    assert [503] * 3 == in_the_gap


def _inbox_size(fixtures: Fixtures, account: UUID) -> int:
    """Count an inbox; the first connection after the failover still leads to the primary that is gone."""
    try:
        return len(fixtures.inbox(account))
    except DATABASE_UNAVAILABLE:
        return 0
