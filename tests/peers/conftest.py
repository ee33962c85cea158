"""Fixtures of the tests beside real parts: a Postroom of real processes, and a folder that other users may enter."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from delivery.records.database import Database
from delivery.settings import Settings
from tests.support.fixtures import Fixtures
from tests.support.process_group import ProcessGroup, open_process_group


@pytest.fixture
def fixtures(database: Database, broker: object) -> Fixtures:
    """Return fixtures of an empty database, beside an empty broker."""
    del broker
    return Fixtures(database)


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Yield a folder that other users may enter: parts that give up root keep their files there."""
    with TemporaryDirectory(prefix="postroom-peers-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def group(base_settings: Settings, tmp_path: Path) -> Iterator[ProcessGroup]:
    """Yield a Postroom without processes."""
    with open_process_group(tmp_path, base_settings) as group:
        yield group
