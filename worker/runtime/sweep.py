"""Find due rows, on a thread in every worker, and hand them to the worker's pool.

The sweep needs only the database. While Redis is empty, wiped or down, every message is still completed: bells only
make it fast. A solo pool runs the work on the thread of the sweep itself.
"""

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
from delivery.intake.messages import RECIPIENT_LIMIT
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, transaction
from delivery.records.pipeline import due
from delivery.records.workers import deaths
from delivery.vocabulary import Channel, QueueName
from tasks.broker.backlog import Backlog, NoBacklog
from tasks.context import StepContext
from tasks.runner import (
    APPLY_DECISIONS,
    DECIDE,
    DELIVER,
    DELIVER_ISOLATED,
    EXPIRE_LEASES,
    EXPIRE_REVIEWS,
    VET,
    WATCH_RULES,
    Step,
    StepFailed,
)
from tasks.steps.watch_rules import WATCH_EVERY_S, find_alarms
from worker.runtime.audit_head import AuditHeadLog
from worker.runtime.critical_thread import CriticalThread

Work = Callable[[], None]
# Runs one piece of work on the worker's pool, at once or soon.
Pool = Callable[[Work], object]

_log = structlog.get_logger()
_ROWS_AT_ONCE = 500
# A query for messages looks at as many recipients. So many messages they are at least.
_MESSAGES_AT_ONCE = _ROWS_AT_ONCE // RECIPIENT_LIMIT
_LAST_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class SweepQuery:
    """A query for due rows, and the step that runs on them, with at most `size` rows in one piece of work."""

    find: Callable[..., Sequence[Any]]
    step: Step[Any]
    size: int = _ROWS_AT_ONCE
    has_bells: bool = False
    """Whether bells are rung for these rows. A row whose bell still waits in Redis is left to it."""
    is_of_messages: bool = False
    """Whether the rows are messages, found by their recipients, of which a query looks at a limited number.

    The worker records which messages it is trying, so that a crash counts against them (`deaths.begin_trying`).
    """

    every_s: float = 0.0
    """Seconds between two looks; 0 looks in each round."""
    is_sent: bool = False
    """Whether the step sends over a channel: while that is away, nothing is looked for."""

    @property
    def full_at(self) -> int:
        """A query that returns as many rows as this may have left some behind."""
        return _MESSAGES_AT_ONCE if self.is_of_messages else _ROWS_AT_ONCE


SWEEP_QUERIES: dict[QueueName, tuple[SweepQuery, ...]] = {
    QueueName.ACCEPT: (),  # A direct send that waits there is no row yet.
    QueueName.DECIDE: (
        SweepQuery(due.undecided, DECIDE, size=100, has_bells=True, is_of_messages=True),
        SweepQuery(partial(due.undecided, is_suspect=True), DECIDE, size=1, has_bells=True, is_of_messages=True),
        # The inbox needs no network and so no lane of its own. These waited for the end of quiet hours, many at once.
        SweepQuery(partial(due.expired_leases, channel=Channel.INBOX), EXPIRE_LEASES),
        SweepQuery(partial(due.waiting, channel=Channel.INBOX), DELIVER),
        SweepQuery(partial(due.waiting, channel=Channel.INBOX, is_suspect=True), DELIVER_ISOLATED),
    ),
    QueueName.VETTING: (
        # Few messages are held, and each expires in a transaction of its own anyway. One at a time, a crash is never
        # counted against a neighbour.
        SweepQuery(due.unopened, VET, size=1, has_bells=True, is_of_messages=True),
        SweepQuery(due.decided, APPLY_DECISIONS, size=1, is_of_messages=True),
        SweepQuery(due.expired, EXPIRE_REVIEWS, size=1, is_of_messages=True),
        SweepQuery(find_alarms, WATCH_RULES, every_s=WATCH_EVERY_S),
    ),
    QueueName.DELIVER_SMTP: (
        SweepQuery(partial(due.expired_leases, channel=Channel.EMAIL), EXPIRE_LEASES),
        SweepQuery(partial(due.waiting, channel=Channel.EMAIL), DELIVER, size=1, has_bells=True, is_sent=True),
        SweepQuery(partial(due.waiting, channel=Channel.EMAIL, is_suspect=True), DELIVER_ISOLATED, is_sent=True),
    ),
}
"""What the sweep of a worker does for each queue that the worker serves."""


class Sweep(CriticalThread):
    """Sweep every `sweep_tick_s`, and again at once while a query may have left due rows behind."""

    def __init__(self, context: StepContext, queues: Sequence[str], pool: Pool, backlog: Backlog | None = None) -> None:
        super().__init__("sweep", defect_event="sweep_broken")
        self._context = context
        self._pool = pool
        self._backlog = backlog or NoBacklog()
        self._queries = [(QueueName(name), each) for name in queues for each in SWEEP_QUERIES[QueueName(name)]]
        self._audit_head = AuditHeadLog(context.database) if QueueName.VETTING in queues else None
        self._under_way: dict[tuple[str, Any], threading.Event] = {}
        self._last_found: dict[SweepQuery, list[Any]] = {}
        self._next_at: dict[SweepQuery, float] = {}

    def _turn(self) -> float:
        return 0.0 if self._sweep_all() else self._context.settings.sweep_tick_s

    def _finish(self) -> None:
        _await(list(self._under_way.values()), _LAST_WAIT_S)

    def _sweep_all(self) -> bool:
        """Run every query once. Return whether one of them may have left due rows behind."""
        try:
            if self._audit_head is not None:
                self._audit_head.write_if_due()
            oldest_bells = self._backlog.oldest_bells()
            # A list, so that every query runs.
            is_more_due = [self._sweep(query, oldest_bells.get(name)) for name, query in self._queries]
            return any(is_more_due)
        except DATABASE_UNAVAILABLE as error:
            log_outage(error, what_now="the sweep tries again")
            return False

    def _sweep(self, query: SweepQuery, rung_at: datetime | None) -> bool:
        """Find due rows and run their step on those that are not under way here. Return whether more may be due."""
        if query.is_sent and any(each.is_away for each in self._context.senders.values()):
            return False
        if not self._is_time_for(query):
            return False
        oldest_bell = {"rung_at": rung_at} if query.has_bells else {}
        with transaction(self._context.database) as db:
            found = query.find(db, limit=_ROWS_AT_ONCE, **oldest_bell)
        if found:
            crash_here(CrashPoint.SWEEP_FOUND)
        fresh = [row for row in found if (query.step.name, row) not in self._under_way]
        pieces = [fresh[start : start + query.size] for start in range(0, len(fresh), query.size)]
        # A relay that hangs must not hold up the sweep, so it does not wait for the end of work that takes longer.
        _await([self._submit(query, piece) for piece in pieces], self._context.settings.sweep_tick_s)
        if fresh:
            crash_here(CrashPoint.SWEEP_WORKED)
            _log.info("swept", step=query.step.name, rows=len(fresh))
        # Rows that come twice in a row are locked by another worker: then a pause is better than a loop.
        is_moving = fresh != self._last_found.get(query)
        self._last_found[query] = fresh
        return is_moving and len(fresh) >= query.full_at

    def _is_time_for(self, query: SweepQuery) -> bool:
        """Whether the query is to be made in this round."""
        now = monotonic()
        is_time = now >= self._next_at.get(query, now)
        if is_time:
            self._next_at[query] = now + query.every_s
        return is_time

    def _submit(self, query: SweepQuery, piece: Sequence[Any]) -> threading.Event:
        """Submit a piece of work to the pool. Return an event that is set when it ends."""
        keys = [(query.step.name, row) for row in piece]
        done = threading.Event()
        self._under_way.update(dict.fromkeys(keys, done))

        def work() -> None:
            try:
                self._run_piece(query, piece)
            finally:
                for key in keys:
                    self._under_way.pop(key, None)
                done.set()

        self._pool(work)
        return done

    def _run_piece(self, query: SweepQuery, piece: Sequence[Any]) -> None:
        """Run the step on one piece of work. When it fails, the step has logged that, and the sweep continues."""
        if self._is_stopping.is_set():
            return
        try:
            with self._trying(query, piece):
                query.step.run(self._context, piece)
        except StepFailed:
            return
        except DATABASE_UNAVAILABLE as error:
            log_outage(error, what_now="the sweep tries again")

    @contextmanager
    def _trying(self, query: SweepQuery, piece: Sequence[Any]) -> Iterator[None]:
        """Record which messages the worker is trying during the block. Recipients need no record: they are claimed."""
        if not query.is_of_messages:
            yield
            return
        with transaction(self._context.database) as db:
            deaths.begin_trying(db, self._context.worker_id, piece)
        try:
            yield
        finally:
            with transaction(self._context.database) as db:
                deaths.end_trying(db, self._context.worker_id, piece)


def _await(events: Sequence[threading.Event], timeout_s: float) -> None:
    """Wait until all of these are set, for `timeout_s` in total at most."""
    until = monotonic() + timeout_s
    for each in events:
        each.wait(max(0.0, until - monotonic()))
