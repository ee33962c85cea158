"""Prove that this worker is alive and recover the work of dead ones, on a thread in every worker.

A worker whose advisory lock is free at two checks in a row, a tick apart, is recovered if it is dead. A free lock alone
is no proof, because a restart of PostgreSQL releases them all. Where the worker's liveness file can be read here, its
file lock proves life or death. Otherwise this worker must have held its own advisory lock for 5 s: that is how long the
others have to take theirs again after a restart of PostgreSQL.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

from delivery import attempt_journal
from delivery.life_sign import LifeSign
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, Database, transaction
from delivery.records.pipeline import claims
from delivery.records.workers import deaths, locks, registry
from delivery.records.workers.locks import MissingWorker, WorkerLock
from delivery.records.workers.registry import WorkerIdentity
from delivery.rules.relay_trouble import RelayTrouble
from tasks.context import StepContext
from tasks.steps.recover_worker import recover_worker
from worker.runtime.critical_thread import CriticalThread

_SETTLED_AFTER_S = 5.0
FILES_KEPT = timedelta(days=1)
"""A worker that starts keeps every journal that was written within this time."""


class LivenessMonitor(CriticalThread):
    """Check every `sweep_tick_s`, from the start of the worker until `close`, also while it finishes its last work."""

    def __init__(
        self,
        context: StepContext,
        identity: WorkerIdentity,
        own_database: Database,
        *,
        settled_after_s: float = _SETTLED_AFTER_S,
        life_sign: LifeSign | None = None,
    ) -> None:
        super().__init__("watch", defect_event="watch_broken")
        self._settled_after_s = settled_after_s
        self._life_sign = life_sign or LifeSign()
        self._context = context
        self._identity = identity
        self._lock = WorkerLock(own_database, identity)
        self._folder = attempt_journal.journal_folder(context.settings.journal_folder)
        self._missing_before: set[UUID] = set()
        self._watched: list[CriticalThread] = []

    def watch(self, thread: CriticalThread) -> None:
        """End this worker if that thread is stuck while the database answers."""
        self._watched.append(thread)

    def close(self) -> None:
        """Stop, deregister this worker and release its lock, once its work is done.

        When an attempt is still under way the worker stays registered, and the others recover it as after a crash.
        """
        self.stop()
        try:
            with transaction(self._context.database) as db:
                if not claims.under_way(db, self._identity.worker_id):
                    registry.deregister(db, self._identity)
        except DATABASE_UNAVAILABLE as error:
            log_outage(error, what_now="the other workers find that this one is gone")
        self._lock.release()

    def check(self) -> None:
        """Report that this worker is alive, and recover those that were missing at the last check too and are dead.

        Raises one of `DATABASE_UNAVAILABLE`.
        """
        began_at = monotonic()
        held_s = self._lock.hold()
        with transaction(self._context.database) as db:
            registry.heartbeat(db, self._identity, self._trouble())
            missing = locks.missing_workers(db)
        self._life_sign.confirm(began_at)
        for thread in self._watched:
            thread.end_process_if_stuck()
        for each in missing:
            if each.worker_id in self._missing_before and self._is_dead(each, held_s):
                self._recover(each)
        self._missing_before = {each.worker_id for each in missing}

    def remove_old_journals(self) -> None:
        """Remove the journals here that are a day old and whose worker neither runs, is registered, nor has a claim.

        Raises one of `DATABASE_UNAVAILABLE`.
        """
        for worker_id in attempt_journal.silent(self._folder, since=datetime.now(UTC) - FILES_KEPT):
            with transaction(self._context.database) as db:
                is_needed = registry.is_known(db, worker_id) or bool(claims.under_way(db, worker_id))
            if not is_needed:
                attempt_journal.remove(self._folder, worker_id)

    def _begin(self) -> float:
        self._try(self.remove_old_journals)
        return self._turn()

    def _turn(self) -> float:
        self._try(self.check)
        return self._context.settings.sweep_tick_s

    def _try(self, act: Callable[[], None]) -> None:
        """Run `act`. If the database is away, forget which workers were missing: the locks of all are free then."""
        try:
            act()
        except DATABASE_UNAVAILABLE as error:
            self._missing_before = set()
            log_outage(error, what_now="the next check follows in a moment")

    def _is_dead(self, missing: MissingWorker, held_s: float) -> bool:
        if missing.worker_id == self._identity.worker_id:
            return False
        is_alive = attempt_journal.is_alive(self._folder, missing.worker_id)
        return held_s >= self._settled_after_s if is_alive is None else not is_alive

    def _trouble(self) -> RelayTrouble | None:
        troubles = [each.trouble for each in self._context.senders.values()]
        return next((each for each in troubles if each is not None), None)

    def _recover(self, missing: MissingWorker) -> None:
        """End the attempts of a dead worker, and delete it once it is long dead and no attempt of it is left."""
        with transaction(self._context.database) as db:
            is_empty = not claims.under_way(db, missing.worker_id)
            if missing.is_long_dead and is_empty:
                deaths.delete_worker(db, missing.worker_id)
                attempt_journal.remove(self._folder, missing.worker_id)
        if missing.died_at is None or not is_empty:
            recover_worker(self._context, missing.worker_id)
