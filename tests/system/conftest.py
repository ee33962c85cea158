"""Fixtures of the system tests: a whole Postroom, started as its users start it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.records.database import Database, open_database
from delivery.settings import Settings
from tests.support.fixtures import Fixtures
from tests.support.platform import Platform, short_folder
from tests.support.smtp_server import SmtpServer, open_smtp_server


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Yield a folder with a short path, for the sockets of the servers."""
    with short_folder() as path:
        yield path


@pytest.fixture(scope="session")
def platform(folder: Path) -> Iterator[Platform]:
    """Yield a running `postroom up`, shared by the tests that break nothing in it."""
    running = Platform(folder / "var")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_platform() -> Iterator[Platform]:
    """Yield a running `postroom up` that only this test uses, and may break."""
    with short_folder() as path:
        running = Platform(path / "var")
        running.start()
        yield running
        running.stop()


@pytest.fixture
def rehearsed_platform() -> Iterator[Platform]:
    """Yield a running `postroom up` with the rehearsal, as `make up` starts it."""
    with short_folder() as path:
        running = Platform(path / "var", has_rehearsal=True)
        running.start()
        yield running
        running.stop()


@pytest.fixture
def fixtures(database: Database, broker: object) -> Fixtures:
    """Return fixtures of an empty database, beside an empty broker."""
    del broker
    return Fixtures(database)


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """Yield a mail relay that accepts everything by default."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture(scope="module")
def own_store(own_settings: Settings) -> Iterator[Database]:
    """Yield the database of a module's `own_settings`."""
    database = open_database(own_settings, connections=2)
    yield database
    database.dispose()
