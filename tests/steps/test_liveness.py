"""A dead worker is found at the second check, and a living one is never taken for dead."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from time import time
from uuid import UUID, uuid4

import pytest

from delivery.attempt_journal import FileJournal
from delivery.records.database import DATABASE_UNAVAILABLE, Database, open_database, transaction
from delivery.records.pipeline import claims
from delivery.records.workers import registry
from delivery.records.workers.locks import WorkerLock
from delivery.records.workers.registry import WorkerIdentity
from delivery.settings import Settings
from delivery.vocabulary import State
from tasks.context import StepContext
from tests.support.attempts import claim
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until
from worker.runtime.liveness import FILES_KEPT, LivenessMonitor

_CUT_LOCK_CONNECTIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def identity(worker_id: UUID, host: str = "here") -> WorkerIdentity:
    """Return the identity of a worker of the lane `decide`."""
    return WorkerIdentity(worker_id, host, 1, ("accept", "decide", "vetting"))


@pytest.fixture
def context(context: StepContext, tmp_path: Path) -> StepContext:
    """Return a context with its journals in a folder of this test, and a check every 20 ms."""
    fast = context.settings.model_copy(update={"journal_folder": str(tmp_path), "sweep_tick_s": 0.02})
    return replace(context, settings=fast)


@pytest.fixture
def monitor(make_monitor: Callable[..., LivenessMonitor]) -> LivenessMonitor:
    """Return the monitor of a worker that has held its lock for long."""
    return make_monitor()


@pytest.fixture
def make_monitor(context: StepContext, settings: Settings) -> Iterator[Callable[..., LivenessMonitor]]:
    """Yield a function that makes monitors, each with a connection of its own."""
    with ExitStack() as stack:

        def make(worker_id: UUID = context.worker_id, *, settled_after_s: float = 0.0) -> LivenessMonitor:
            database = open_database(settings, connections=1)
            stack.callback(database.dispose)
            monitor = LivenessMonitor(context, identity(worker_id), database, settled_after_s=settled_after_s)
            stack.callback(monitor._lock.release)
            return monitor

        yield make


@pytest.fixture
def dead(fixtures: Fixtures) -> UUID:
    """Return the id of a dead worker of another host."""
    worker_id = uuid4()
    with transaction(fixtures.database) as db:
        registry.heartbeat(db, identity(worker_id, "elsewhere"))
    return worker_id


def claim_by(fixtures: Fixtures, message_id: UUID, worker_id: UUID) -> None:
    """Let this worker claim a message's recipient."""
    assert claim(fixtures, message_id, claims.make_token(worker_id))


def test_a_dead_worker_is_recovered_at_the_second_check(
    fixtures: Fixtures, monitor: LivenessMonitor, dead: UUID, queued: UUID
) -> None:
    claim_by(fixtures, queued, dead)

    monitor.check()
    after_one = fixtures.states(queued)
    monitor.check()

    assert ([State.CLAIMED], [State.UNKNOWN]) == (after_one, fixtures.states(queued))


def test_a_worker_that_holds_its_lock_is_left_alone(
    fixtures: Fixtures, make_monitor: Callable[..., LivenessMonitor], monitor: LivenessMonitor, queued: UUID
) -> None:
    other = uuid4()
    make_monitor(other).check()
    claim_by(fixtures, queued, other)

    for _ in range(3):
        monitor.check()

    assert [State.CLAIMED] == fixtures.states(queued)


def test_a_worker_of_this_host_is_alive_while_its_file_lock_is_held_although_its_advisory_lock_is_free(
    fixtures: Fixtures, monitor: LivenessMonitor, dead: UUID, queued: UUID, tmp_path: Path
) -> None:
    claim_by(fixtures, queued, dead)
    living = FileJournal(tmp_path, dead)

    for _ in range(3):
        monitor.check()
    before = fixtures.states(queued)
    living.record_data_end((0, 0))  # So that its files stay.
    living.close()
    monitor.check()

    assert ([State.CLAIMED], [State.RETRYING]) == (before, fixtures.states(queued))


def test_after_a_restart_of_the_database_others_have_time_to_take_their_locks(
    fixtures: Fixtures, make_monitor: Callable[..., LivenessMonitor], dead: UUID, queued: UUID
) -> None:
    claim_by(fixtures, queued, dead)
    fresh = make_monitor(settled_after_s=60.0)

    for _ in range(3):
        fresh.check()

    assert [State.CLAIMED] == fixtures.states(queued)


def test_a_monitor_that_was_cut_off_takes_its_lock_again_and_suspects_no_worker_for_that_time(
    fixtures: Fixtures, monitor: LivenessMonitor, dead: UUID, queued: UUID
) -> None:
    claim_by(fixtures, queued, dead)
    monitor.check()
    fixtures.run_sql(_CUT_LOCK_CONNECTIONS)

    monitor._try(monitor.check)
    monitor.check()
    after_one = fixtures.states(queued)
    monitor.check()

    assert ([State.CLAIMED], [State.UNKNOWN]) == (after_one, fixtures.states(queued))


def test_a_worker_of_an_earlier_version_is_never_taken_for_dead(
    fixtures: Fixtures, monitor: LivenessMonitor, dead: UUID, queued: UUID
) -> None:
    claim_by(fixtures, queued, dead)
    fixtures.run_sql("UPDATE worker SET lock_key = NULL")

    for _ in range(3):
        monitor.check()

    assert [State.CLAIMED] == fixtures.states(queued)


def test_a_worker_that_was_taken_for_dead_and_lives_is_alive_again(
    fixtures: Fixtures, monitor: LivenessMonitor, dead: UUID
) -> None:
    monitor.check()
    monitor.check()
    died = fixtures.run_sql("SELECT died_at FROM worker WHERE id = :id", id=dead)[0].died_at

    with transaction(fixtures.database) as db:
        registry.heartbeat(db, identity(dead, "elsewhere"))

    assert died is not None
    assert fixtures.run_sql("SELECT died_at FROM worker WHERE id = :id", id=dead)[0].died_at is None


def test_an_attempt_found_after_the_recovery_of_its_worker_is_ended_too(
    fixtures: Fixtures, monitor: LivenessMonitor, dead: UUID, queued: UUID
) -> None:
    monitor.check()
    monitor.check()

    claim_by(fixtures, queued, dead)
    monitor.check()

    assert [State.UNKNOWN] == fixtures.states(queued)


def test_a_long_dead_worker_and_its_files_are_deleted(
    fixtures: Fixtures, monitor: LivenessMonitor, dead: UUID, tmp_path: Path
) -> None:
    ended = FileJournal(tmp_path, dead)
    ended.record_data_end((7, 1))
    ended.close()
    monitor.check()
    monitor.check()
    kept = len(list(tmp_path.iterdir()))
    fixtures.run_sql("UPDATE worker SET died_at = died_at - INTERVAL '2 minutes' WHERE id = :id", id=dead)

    monitor.check()

    assert (2, []) == (kept, list(tmp_path.iterdir()))
    assert [] == fixtures.run_sql("SELECT FROM worker WHERE id = :id", id=dead)


def test_a_start_removes_old_files_of_workers_that_are_not_registered(
    fixtures: Fixtures, monitor: LivenessMonitor, dead: UUID, queued: UUID, tmp_path: Path
) -> None:
    """The files stay of a worker that is registered, alive, wrote lately or has an attempt under way."""
    forgotten, living, young, claiming = (uuid4() for _ in range(4))
    journals = {each: FileJournal(tmp_path, each) for each in (forgotten, living, young, claiming, dead)}
    journals[living].record_data_end((7, 1))
    for each in (forgotten, young, claiming, dead):
        journals[each].record_data_end((7, 1))
        journals[each].close()
    claim_by(fixtures, queued, claiming)
    for each in (forgotten, living, claiming, dead):
        os.utime(tmp_path / f"{each}.journal", times=(0, time() - 1.1 * FILES_KEPT.total_seconds()))

    (tmp_path / "notes.journal").touch()
    os.utime(tmp_path / "notes.journal", times=(0, 0))

    monitor.remove_old_journals()

    journals[living].close()
    kept = {path.stem for path in tmp_path.iterdir()}
    assert {*map(str, (living, young, claiming, dead)), "notes"} == kept


def test_a_monitor_removes_old_files_when_it_starts(monitor: LivenessMonitor, tmp_path: Path) -> None:
    ended = FileJournal(tmp_path, uuid4())
    ended.record_data_end((7, 1))
    ended.close()
    for path in tmp_path.glob("*.journal"):
        os.utime(path, times=(0, 0))

    monitor.start()

    wait_until(lambda: not list(tmp_path.iterdir()))
    monitor.close()


def test_a_worker_is_registered_from_its_start_to_its_end(fixtures: Fixtures, monitor: LivenessMonitor) -> None:
    monitor.start()
    wait_until(lambda: fixtures.count("worker") == 1)

    monitor.close()

    assert 0 == fixtures.count("worker")
    assert [] == fixtures.run_sql(_CUT_LOCK_CONNECTIONS.replace("pg_terminate_backend(pid)", ""))


def test_what_a_worker_leaves_under_way_at_its_end_is_found_by_the_others(
    fixtures: Fixtures,
    monitor: LivenessMonitor,
    make_monitor: Callable[..., LivenessMonitor],
    queued: UUID,
    context: StepContext,
) -> None:
    monitor.start()
    wait_until(lambda: fixtures.count("worker") == 1)
    claim_by(fixtures, queued, context.worker_id)
    monitor.close()
    other = make_monitor(uuid4())

    other.check()
    other.check()

    assert [State.UNKNOWN] == fixtures.states(queued)


def test_a_lock_without_a_database_raises_and_is_held_again_afterwards(settings: Settings, database: Database) -> None:
    own = open_database(settings, connections=1)
    lock = WorkerLock(own, identity(uuid4(), socket.gethostname()))
    lock.hold()
    with transaction(database) as db:
        db.exec_driver_sql(_CUT_LOCK_CONNECTIONS)

    with pytest.raises(DATABASE_UNAVAILABLE):
        lock.hold()
    held_s = lock.hold()

    lock.release()
    own.dispose()
    assert held_s < 1.0
