"""The whole of Postroom, started as its users start it."""

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
    """Give a folder with a short path, for the sockets of the servers."""
    with short_folder() as path:
        yield path


@pytest.fixture(scope="session")
def platform(folder: Path) -> Iterator[Platform]:
    """Give a running `postroom up`, shared by the tests that do not hurt it."""
    running = Platform(folder / "var")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_platform() -> Iterator[Platform]:
    """Give a running `postroom up` of the test's own, to be hurt."""
    with short_folder() as path:
        running = Platform(path / "var")
        running.start()
        yield running
        running.stop()


@pytest.fixture
def fixtures(database: Database, broker: object) -> Fixtures:
    """Give empty records beside an empty broker."""
    del broker
    return Fixtures(database)


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """Give a relay that takes everything, unless it is told otherwise."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture(scope="module")
def own_store(own_settings: Settings) -> Iterator[Database]:
    """Give the database of a module's `own_settings`, as seen from outside."""
    database = open_database(own_settings, connections=2)
    yield database
    database.dispose()
