"""Liveness monitors of tests, each with a connection of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from delivery.records.database import open_database
from delivery.records.workers.registry import WorkerIdentity
from delivery.settings import Settings
from tasks.context import StepContext
from tasks.lanes import LANES, LaneName
from worker.runtime.liveness import LivenessMonitor


@contextmanager
def open_monitor(context: StepContext, settings: Settings, **more: Any) -> Iterator[LivenessMonitor]:
    """Open the monitor of an SMTP worker with the process id 1."""
    database = open_database(settings, connections=1)
    identity = WorkerIdentity(context.worker_id, "here", 1, LANES[LaneName.SMTP].queues)
    monitor = LivenessMonitor(context, identity, database, **more)
    try:
        yield monitor
    finally:
        monitor._lock.release()
        database.dispose()
