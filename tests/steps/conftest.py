"""An office to work in: a real database, noted bells and a mail relay that only listens."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
import structlog
from redis import Redis
from typer.testing import CliRunner

from delivery.records.database import Database
from delivery.settings import Settings, settings_from_environment
from delivery.vocabulary import Channel, MessageType
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.support.api_client import Headers, key_of
from tests.support.api_server import open_door
from tests.support.direct_sends import credential
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell, RecordingSender, StepDriver
from worker.runtime.sweep import SWEEP_QUERIES, Sweep

HELD_PHRASE = "wire the money"


@pytest.fixture(autouse=True)
def logs_of_this_test() -> Iterator[None]:
    """Undo what a command set up for its logs: they would go to a stream that is closed after the test."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(handler)


@pytest.fixture
def settings(base_settings: Settings) -> Settings:
    """Give settings under which one phrase sends a message to staff."""
    return base_settings.model_copy(update={"hold_phrases": HELD_PHRASE})


@pytest.fixture
def fixtures(database: Database) -> Fixtures:
    """Give the records, empty but for one client."""
    return Fixtures(database)


@pytest.fixture
def bells() -> RecordingDoorbell:
    """Give a doorbell that only notes who rang."""
    return RecordingDoorbell()


@pytest.fixture
def relay() -> RecordingSender:
    """Give a mail relay that takes everything."""
    return RecordingSender()


@pytest.fixture
def context(settings: Settings, database: Database, bells: RecordingDoorbell, relay: RecordingSender) -> StepContext:
    """Give an office without chance: every wait is the full wait."""
    return StepContext(settings, database, bells, {Channel.EMAIL: relay}, jitter=lambda: 0.0)


@pytest.fixture
def driver(context: StepContext, bells: RecordingDoorbell) -> StepDriver:
    """Give what takes bells to their steps."""
    return StepDriver(context, bells)


@pytest.fixture
def token(fixtures: Fixtures, settings: Settings) -> str:
    """Give an access token of the client of this test, as for direct sends."""
    return credential(fixtures, settings.pepper)


@pytest.fixture
def key(fixtures: Fixtures, settings: Settings) -> Headers:
    """Give the credential of a client that may do everything."""
    return key_of(fixtures, settings, fixtures.client_id)


@pytest.fixture
def working(context: StepContext) -> Iterator[None]:
    """Start a worker that takes up everything at once."""
    brisk = context.settings.model_copy(update={"sweep_tick_s": 0.02, "bell_grace_s": 0.001})
    sweep = Sweep(replace(context, settings=brisk), tuple(SWEEP_QUERIES), lambda work: work() or (lambda: None))  # type: ignore[func-returns-value] # it runs first
    sweep.start()
    yield
    sweep.stop()


@pytest.fixture
def overdue(base_settings: Settings) -> Iterator[httpx2.Client]:
    """Open a door whose messages the sweep takes up at once, so that no broker is needed."""
    with open_door(base_settings.model_copy(update={"bell_grace_s": 0.001, "hold_phrases": HELD_PHRASE})) as client:
        yield client


@pytest.fixture
def queued(fixtures: Fixtures, context: StepContext) -> UUID:
    """Take in a message to one account, queued for e-mail."""
    message_id = fixtures.message(fixtures.account(Channel.EMAIL), type=MessageType.JOB)
    decide(context, [message_id])
    return message_id


@pytest.fixture(scope="module")
def open_client(base_settings: Settings) -> Iterator[httpx2.Client]:
    """Give a door that is open for all tests of this file."""
    with open_door(base_settings) as client:
        yield client


@pytest.fixture
def http(open_client: httpx2.Client, fixtures: Fixtures, broker: Redis) -> httpx2.Client:
    """Give a client at the door of an empty Postroom."""
    del fixtures, broker
    return open_client


@pytest.fixture
def command(
    fixtures: Fixtures, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Give what runs a command of ours (a typer application, and words) in a folder without settings of its own."""
    del fixtures
    monkeypatch.chdir(tmp_path)
    told = {"DATABASE_URL": settings.database_url, "POSTROOM_PEPPER": settings.pepper}
    environment = {**{name: secret.get_secret_value() for name, secret in told.items()}, "COLUMNS": "200"}
    settings_from_environment.cache_clear()
    yield lambda application, *words: CliRunner().invoke(application, [str(word) for word in words], env=environment)
    settings_from_environment.cache_clear()
