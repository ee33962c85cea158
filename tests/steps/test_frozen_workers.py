"""The health check of a container ends a worker that froze, and no other process."""

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from delivery.records.database import transaction
from delivery.records.workers import registry
from delivery.records.workers.registry import WorkerIdentity
from tasks.lanes import LANES, LaneName
from tests.support.fixtures import Fixtures
from tests.support.processes import Process, launch
from tests.support.waiting import wait_until
from worker.cli.app import app

_WORKER = """
import sys, time
from pathlib import Path
from uuid import UUID
from delivery.attempt_journal import FileJournal
journal = FileJournal(Path(sys.argv[1]), UUID(sys.argv[2]))
time.sleep(60)
"""


@pytest.fixture
def worker_id() -> UUID:
    """Return the id of a worker."""
    return uuid4()


@pytest.fixture
def frozen(tmp_path: Path, worker_id: UUID) -> Iterator[Process]:
    """Yield a process that holds a worker's liveness file and is stopped."""
    process = launch((sys.executable, "-c", _WORKER, str(tmp_path), str(worker_id)))
    wait_until((tmp_path / f"{worker_id}.alive").exists)
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.wait(10)


@pytest.mark.parametrize(("is_registered_as_itself", "code"), [(True, -signal.SIGKILL), (False, None)])
def test_a_worker_that_froze_is_killed_if_its_liveness_file_is_locked(  # noqa: PLR0917 - pytest hands them in by name
    fixtures: Fixtures,
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    frozen: Process,
    worker_id: UUID,
    is_registered_as_itself: bool,  # noqa: FBT001 - a column
    code: int | None,
) -> None:
    monkeypatch.setenv("POSTROOM_JOURNAL_FOLDER", str(tmp_path))
    known_id = worker_id if is_registered_as_itself else uuid4()
    identity = WorkerIdentity(known_id, socket.gethostname(), frozen.pid, LANES[LaneName.SMTP].queues)
    with transaction(fixtures.database) as db:
        registry.heartbeat(db, identity)
    fixtures.run_sql("UPDATE worker SET seen_at = clock_timestamp() - INTERVAL '31 seconds'")

    result = command(app, "worker-alive", "smtp", "--end-frozen")

    if code is not None:
        frozen.wait(10)
    assert (code, True) == (frozen.poll(), result.exit_code != 0)
