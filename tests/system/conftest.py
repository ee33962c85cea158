"""The whole of Postroom, started as its users start it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.platform import Platform, short_folder


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
