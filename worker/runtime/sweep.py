"""The sweep: in every worker, a thread that finds due rows and has the worker's own pool work on them.

It needs the database and nothing else. With a broker that is empty, wiped or dead every message is still completed;
the bell only makes it fast.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import DATABASE_UNAVAILABLE, transaction
from delivery.records.pipeline import due
from delivery.records.workers import deaths
from delivery.vocabulary import Channel, QueueName
from tasks.broker.backlog import Backlog, NoBacklog
from tasks.context import StepContext
from tasks.runner import DECIDE, DELIVER, DELIVER_ISOLATED, EXPIRE_LEASES, EXPIRE_REVIEWS, VET, Step, StepFailed

Work = Callable[[], None]
# Has the worker's pool do one piece of work, at once or soon.
Pool = Callable[[Work], object]

_log = structlog.get_logger()
_ROWS_AT_ONCE = 500
_LAST_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class SweepQuery:
    """One question of the sweep, and the step that takes its answers, `size` of them in one piece of work."""

    find: Callable[..., Sequence[Any]]
    step: Step[Any]
    size: int = _ROWS_AT_ONCE
    has_bells: bool = False
    """Bells are rung for these rows: what one of them is still waiting for is not due."""
    is_noted: bool = False
    """The worker notes in the database what it works on; a death counts against it (records/workers/deaths.py)."""


SWEEP_QUERIES: dict[QueueName, tuple[SweepQuery, ...]] = {
    QueueName.ACCEPT: (),  # Whatever lies there is no row yet.
    QueueName.DECIDE: (
        SweepQuery(due.undecided, DECIDE, size=100, has_bells=True, is_noted=True),
        SweepQuery(partial(due.undecided, is_suspect=True), DECIDE, size=1, has_bells=True, is_noted=True),
        # The inbox needs no network and so no lane of its own: these were put off by quiet hours, and all at once.
        SweepQuery(partial(due.lapsed, channel=Channel.INBOX), EXPIRE_LEASES),
        SweepQuery(partial(due.waiting, channel=Channel.INBOX), DELIVER),
        SweepQuery(partial(due.waiting, channel=Channel.INBOX, is_suspect=True), DELIVER_ISOLATED),
    ),
    QueueName.VETTING: (
        # Few are held, and each expires in a transaction of its own anyway. Alone, none is counted for what its
        # neighbour did.
        SweepQuery(due.unopened, VET, size=1, has_bells=True, is_noted=True),
        SweepQuery(due.expired, EXPIRE_REVIEWS, size=1, is_noted=True),
    ),
    QueueName.DELIVER_SMTP: (
        SweepQuery(partial(due.lapsed, channel=Channel.EMAIL), EXPIRE_LEASES),
        SweepQuery(partial(due.waiting, channel=Channel.EMAIL), DELIVER, size=1, has_bells=True),
        SweepQuery(partial(due.waiting, channel=Channel.EMAIL, is_suspect=True), DELIVER_ISOLATED),
    ),
}
"""What the sweep of a worker does for each queue that the worker serves."""


class Sweep:
    """The sweeping thread of one worker."""

    def __init__(self, context: StepContext, queues: Sequence[str], pool: Pool, backlog: Backlog | None = None) -> None:
        self._context = context
        self._pool = pool
        self._backlog = backlog or NoBacklog()
        self._queries = [(QueueName(name), each) for name in queues for each in SWEEP_QUERIES[QueueName(name)]]
        self._under_way: dict[tuple[str, Any], threading.Event] = {}
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Begin to sweep, at once and then every `sweep_tick_s`."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after the pieces of work that are under way."""
        self._is_stopping.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._is_stopping.is_set():
                found = self._tick()
                if found < _ROWS_AT_ONCE:  # A full catch means that more is due: go on at once.
                    self._is_stopping.wait(self._context.settings.sweep_tick_s)
            _await(list(self._under_way.values()), _LAST_WAIT_S)
        except BaseException:
            # A worker without its sweep would look healthy and lose the promise: let the supervisor start another.
            _log.exception("sweep_broken")
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    def _tick(self) -> int:
        try:
            rung = self._backlog.oldest_bells()
            return max([self._sweep(each, rung.get(name)) for name, each in self._queries], default=0)
        except DATABASE_UNAVAILABLE as error:
            _log.warning("store_unavailable", error=type(error).__name__, what_now="the sweep asks again")
            return 0

    def _sweep(self, each: SweepQuery, rung_at: datetime | None) -> int:
        bells = {"rung_at": rung_at} if each.has_bells else {}
        with transaction(self._context.database) as db:
            found = each.find(db, limit=_ROWS_AT_ONCE, **bells)
        if found:
            crash_here(CrashPoint.SWEEP_FOUND)
        fresh = [row for row in found if (each.step.name, row) not in self._under_way]
        pieces = [fresh[start : start + each.size] for start in range(0, len(fresh), each.size)]
        # A relay that hangs must not hold up the sweep: what is not done in time is left to the pool.
        _await([self._begin(each, piece) for piece in pieces], self._context.settings.sweep_tick_s)
        if fresh:
            crash_here(CrashPoint.SWEEP_WORKED)
            _log.info("swept", step=each.step.name, rows=len(fresh))
        return len(fresh)

    def _begin(self, each: SweepQuery, piece: Sequence[Any]) -> threading.Event:
        """Have the pool do a piece of work; answer what tells its end."""
        names = [(each.step.name, row) for row in piece]
        done = threading.Event()
        self._under_way.update(dict.fromkeys(names, done))

        def work() -> None:
            try:
                self._attempt(each, piece)
            finally:
                for name in names:
                    self._under_way.pop(name, None)
                done.set()

        self._pool(work)
        return done

    def _attempt(self, each: SweepQuery, piece: Sequence[Any]) -> None:
        """Do one piece of work. A step that broke has logged and set its rows aside; the sweep goes on."""
        if self._is_stopping.is_set():
            return
        try:
            with self._noted(each, piece):
                each.step.run(self._context, piece)
        except StepFailed:
            return
        except DATABASE_UNAVAILABLE as error:
            _log.warning("store_unavailable", error=type(error).__name__, what_now="the sweep asks again")

    @contextmanager
    def _noted(self, each: SweepQuery, piece: Sequence[Any]) -> Iterator[None]:
        """Note what is worked on, where that matters; whoever survives the work takes the note back."""
        if not each.is_noted:
            yield
            return
        with transaction(self._context.database) as db:
            deaths.begin_trying(db, self._context.worker_id, piece)
        try:
            yield
        finally:
            with transaction(self._context.database) as db:
                deaths.end_trying(db, self._context.worker_id, piece)


def _await(ends: Sequence[threading.Event], timeout_s: float) -> None:
    """Wait for all of these, for so long at most."""
    until = monotonic() + timeout_s
    for each in ends:
        each.wait(max(0.0, until - monotonic()))
