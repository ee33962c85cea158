"""The watch: in every worker, a thread that shows that it lives, and buries those that do not.

How a death is noticed: the dead worker's advisory lock is free on two looks in a row, a tick apart. That alone is
suspicion. On the same machine the sign of life beside its journal is proof, one way or the other. For a worker of
another machine the watch has to have held its own lock for a while, so that the others have had the time to take
theirs again after PostgreSQL began anew.
"""

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from delivery import attempt_journal
from delivery.records.database import DATABASE_UNAVAILABLE, Database, transaction
from delivery.records.pipeline import claims
from delivery.records.workers import deaths, locks, registry
from delivery.records.workers.locks import MissingWorker, WorkerLock
from delivery.records.workers.registry import WorkerIdentity
from tasks.context import StepContext
from tasks.steps.recover_worker import recover_worker

_log = structlog.get_logger()
_SETTLED_AFTER_S = 5.0
FILES_KEPT = timedelta(days=1)
"""A start leaves files of the dead alone that were written within this time."""


class LivenessMonitor:
    """The watching thread of one worker. It goes on while the worker drains, until `close`."""

    def __init__(
        self,
        context: StepContext,
        identity: WorkerIdentity,
        own_store: Database,
        *,
        settled_after_s: float = _SETTLED_AFTER_S,
    ) -> None:
        self._settled_after_s = settled_after_s
        self._context = context
        self._identity = identity
        self._presence = WorkerLock(own_store, identity)
        self._folder = attempt_journal.journal_folder(context.settings.journal_folder)
        self._suspects: set[UUID] = set()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch, at once and then every `sweep_tick_s`."""
        self._thread.start()

    def close(self) -> None:
        """Sign off, once everything is done. Whatever is still under way is left to the others, as after a death."""
        self._is_stopping.set()
        self._thread.join(timeout=5.0)
        try:
            with transaction(self._context.database) as db:
                if not claims.under_way(db, self._identity.worker_id):
                    registry.deregister(db, self._identity)
        except DATABASE_UNAVAILABLE:
            _log.warning("store_unavailable", what_now="the others will notice that this worker is gone")
        self._presence.release()

    def check(self) -> None:
        """Look once. Raises one of `STORE_UNAVAILABLE`."""
        held_s = self._presence.hold()
        with transaction(self._context.database) as db:
            registry.heartbeat(db, self._identity)
            absent = locks.missing_workers(db)
        for each in absent:
            if each.worker_id in self._suspects and self._is_dead(each, held_s):
                self._recover(each)
        self._suspects = {each.worker_id for each in absent}

    def remove_old_journals(self) -> None:
        """Remove what is left on this machine of workers that nobody knows any more. Raises as `look` does."""
        for worker_id in attempt_journal.silent(self._folder, since=datetime.now(UTC) - FILES_KEPT):
            with transaction(self._context.database) as db:
                is_needed = registry.is_known(db, worker_id) or bool(claims.under_way(db, worker_id))
            if not is_needed:
                attempt_journal.remove(self._folder, worker_id)

    def _run(self) -> None:
        try:
            self._try(self.remove_old_journals)
            while True:
                self._try(self.check)
                if self._is_stopping.wait(self._context.settings.sweep_tick_s):
                    return
        except BaseException:
            # A worker that nobody sees would lose its work to the others: let the supervisor start another.
            _log.exception("watch_broken")
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except DATABASE_UNAVAILABLE as error:
            self._suspects = set()
            _log.warning("store_unavailable", error=type(error).__name__, what_now="the watch looks again")

    def _is_dead(self, absentee: MissingWorker, held_s: float) -> bool:
        if absentee.worker_id == self._identity.worker_id:
            return False
        is_alive = attempt_journal.is_alive(self._folder, absentee.worker_id)
        return held_s >= self._settled_after_s if is_alive is None else not is_alive

    def _recover(self, absentee: MissingWorker) -> None:
        """End what it had under way, and forget it once nothing of it can come to light any more."""
        with transaction(self._context.database) as db:
            is_empty = not claims.under_way(db, absentee.worker_id)
            if absentee.is_long_dead and is_empty:
                deaths.delete_worker(db, absentee.worker_id)
                attempt_journal.remove(self._folder, absentee.worker_id)
        if absentee.died_at is None or not is_empty:
            recover_worker(self._context, absentee.worker_id)
