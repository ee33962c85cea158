"""Fixtures of the step tests: a real database, and a doorbell and a mail relay that only record."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
import structlog
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import text
from typer.testing import CliRunner

from delivery.records.database import Database, open_database, transaction
from delivery.settings import Settings, settings_from_environment
from delivery.vocabulary import Channel, MessageType
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.support.api_client import Headers, key_of
from tests.support.api_server import open_door
from tests.support.desk import Browser
from tests.support.direct_sends import credential
from tests.support.fixtures import Fixtures
from tests.support.large_data import SETTLED
from tests.support.servers import Servers
from tests.support.step_driver import RecordingDoorbell, RecordingSender, StepDriver
from worker.cli.app import app
from worker.runtime.sweep import SWEEP_QUERIES, Sweep

HELD_PHRASE = "wire the money"


@pytest.fixture(autouse=True)
def logs_of_this_test() -> Iterator[None]:
    """Reset the logging that a command configured: its stream is closed after the test."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(handler)


@pytest.fixture(scope="module")
def only_here(servers: Servers) -> Iterator[None]:
    """Keep other processes of this run from changing roles, which belong to the whole server."""
    with psycopg.connect(servers.postgres_url, autocommit=True) as db:
        db.execute("SELECT pg_advisory_lock(1)")
        yield


@pytest.fixture
def settings(base_settings: Settings) -> Settings:
    """Return settings under which one phrase holds a message for review."""
    return base_settings.model_copy(update={"hold_phrases": HELD_PHRASE})


@pytest.fixture
def fixtures(database: Database) -> Fixtures:
    """Return fixtures of a database that is empty but for one client."""
    return Fixtures(database)


@pytest.fixture(scope="module")
def large_database(servers: Servers, base_settings: Settings, worker_number: int) -> Iterator[Database]:
    """Yield a database with 20,000 settled recipients, and statistics of nothing else."""
    url = SecretStr(servers.create_database(f"large_{worker_number}"))
    database = open_database(base_settings.model_copy(update={"database_url": url}), connections=4)
    with transaction(database) as db:
        db.execute(text("ALTER TABLE recipient SET (autovacuum_enabled = false)"))
        db.execute(text("ALTER TABLE message SET (autovacuum_enabled = false)"))
        db.execute(text(SETTLED.replace(":", r"\:")))
    yield database
    database.dispose()


@pytest.fixture
def large_fixtures(large_database: Database) -> Fixtures:
    """Return fixtures on the large database."""
    return Fixtures(large_database)


@pytest.fixture
def bells() -> RecordingDoorbell:
    """Return a doorbell that only records its bells."""
    return RecordingDoorbell()


@pytest.fixture
def relay() -> RecordingSender:
    """Return a sender that sends everything."""
    return RecordingSender()


@pytest.fixture
def context(settings: Settings, database: Database, bells: RecordingDoorbell, relay: RecordingSender) -> StepContext:
    """Return a context without random delays: every wait is the full wait."""
    return StepContext(settings, database, bells, {Channel.EMAIL: relay}, jitter=lambda: 0.0)


@pytest.fixture
def driver(context: StepContext, bells: RecordingDoorbell) -> StepDriver:
    """Return a driver that runs the steps of recorded bells."""
    return StepDriver(context, bells)


@pytest.fixture
def token(fixtures: Fixtures, settings: Settings) -> str:
    """Return an access token of the client of this test, as for direct sends."""
    return credential(fixtures, settings.pepper)


@pytest.fixture
def key(fixtures: Fixtures, settings: Settings) -> Headers:
    """Return the headers of a client with every scope."""
    return key_of(fixtures, settings, fixtures.client_id)


@pytest.fixture
def working(context: StepContext) -> Iterator[None]:
    """Run a sweep that takes up everything at once."""
    brisk = context.settings.model_copy(update={"sweep_tick_s": 0.02, "bell_grace_s": 0.001})
    sweep = Sweep(replace(context, settings=brisk), tuple(SWEEP_QUERIES), lambda work: work() or (lambda: None))  # type: ignore[func-returns-value] # it runs first
    sweep.start()
    yield
    sweep.stop()


@pytest.fixture
def overdue(base_settings: Settings) -> Iterator[httpx2.Client]:
    """Yield a client of an API whose messages the sweep takes up at once, so that no broker is needed."""
    with open_door(base_settings.model_copy(update={"bell_grace_s": 0.001, "hold_phrases": HELD_PHRASE})) as client:
        yield client


@pytest.fixture
def queued(fixtures: Fixtures, context: StepContext) -> UUID:
    """Store a message to one account, queued for e-mail."""
    message_id = fixtures.message(fixtures.account(Channel.EMAIL), type=MessageType.JOB)
    decide(context, [message_id])
    return message_id


@pytest.fixture(scope="module")
def open_client(base_settings: Settings) -> Iterator[httpx2.Client]:
    """Yield a client of an API that serves all tests of a module."""
    with open_door(base_settings) as client:
        yield client


@pytest.fixture
def http(open_client: httpx2.Client, fixtures: Fixtures, broker: Redis) -> httpx2.Client:
    """Return a client of the API of an empty Postroom."""
    del fixtures, broker
    return open_client


@pytest.fixture
def new_browser() -> Iterator[Callable[[httpx2.Client], Browser]]:
    """Yield a function that opens a browser, in which no person has logged in, at the API of this client."""
    with ExitStack() as opened:
        yield lambda http: opened.enter_context(closing(Browser(http)))


@pytest.fixture
def browser(http: httpx2.Client, new_browser: Callable[[httpx2.Client], Browser]) -> Browser:
    """Return a browser in which no person has logged in."""
    return new_browser(http)


@pytest.fixture
def command(
    fixtures: Fixtures, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Yield a function that runs a command (a typer application and arguments) in a folder without settings."""
    del fixtures
    monkeypatch.chdir(tmp_path)
    secrets = {"DATABASE_URL": settings.database_url, "POSTROOM_PEPPER": settings.pepper}
    environment = {**{name: secret.get_secret_value() for name, secret in secrets.items()}, "COLUMNS": "200"}
    settings_from_environment.cache_clear()
    yield lambda application, *words: CliRunner().invoke(application, [str(word) for word in words], env=environment)
    settings_from_environment.cache_clear()


@pytest.fixture
def import_file(command: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that imports accounts from a file with this content."""

    def write_and_import(content: str | bytes, *options: str, name: str = "accounts.csv") -> Any:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return command(app, "accounts", "import", name, *options)

    return write_and_import
