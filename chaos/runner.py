"""One trial: send messages, inject faults, heal, wait until everything is settled, and check."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import redis
from psycopg import Error, connect

from chaos.checker import violations
from chaos.clients import Clients, seed
from chaos.cluster import API, DATABASE, OURS, Cluster, processes_of
from chaos.evidence import Left, empty, gather, let_pass, look
from chaos.faults import inject
from chaos.history import History
from chaos.migration import migrate_and_crash
from chaos.reviewers import Reviewers
from chaos.schedule import LOAD_S, Fault, PlannedFault, Schedule
from delivery.records.database import open_database
from delivery.records.migrate import create_database, migrate
from delivery.vocabulary import CredentialKind, QueueName

# In the settings of a trial, everything but a busy mailbox is final this long after the faults have ended.
_BOUND_S = 180.0
# In the scenario without a sweep, bells alone must settle everything within this time.
_PROMPT_S = 15.0
_LATE_SWEEP_S = 600.0
_START_LOOKS = 600
_LOOK_EVERY_S = 0.1
_PATIENCE_S = 1.5
_LEAP = timedelta(seconds=15)
_LAST_FAULT_S = 20.0
_AFTERMATH_S = 0.5


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result of a trial. `unfired` names faults that hit nothing; such a trial is not counted."""

    schedule: Schedule
    violations: list[str]
    unfired: tuple[str, ...]
    converged_s: float
    lasted_s: float
    copies: int = 0
    doubles: int = 0
    recipients: int = 0

    @property
    def is_valid(self) -> bool:
        """Whether every fault hit something."""
        return not self.unfired


@dataclass
class Runner:
    """A running cluster and the credentials of its client, for one trial after the other."""

    cluster: Cluster
    credentials: dict[CredentialKind, str] = field(default_factory=dict)

    def play(self, schedule: Schedule) -> TrialResult:
        """Run a trial and check it."""
        began_at = monotonic()
        migrating = next((fault for fault in schedule.faults if fault.is_migration), None)
        if migrating is not None:
            return _play_migration(self.cluster, schedule, migrating)
        run = f"T{secrets.token_hex(4)}"
        self._prepare(schedule, run)
        history = History(self.cluster.folder / "history.jsonl")
        unfired = self._disturb(schedule, run, history)
        converged_s = self._converge(schedule, run)
        threading.Event().wait(_AFTERMATH_S)
        url = self.cluster.database_url
        evidence = gather(url, schedule, run, history=history, copies=list(self.cluster.relay.copies))
        history.close()
        return TrialResult(
            schedule=schedule,
            violations=[*violations(evidence), *_lateness(schedule, converged_s)],
            unfired=unfired,
            converged_s=converged_s,
            lasted_s=monotonic() - began_at,
            copies=sum(map(len, evidence.copies.values())),
            doubles=sum(len(copies) > 1 for copies in evidence.copies.values()),
            recipients=sum(map(len, evidence.recipients.values())),
        )

    def _prepare(self, schedule: Schedule, run: str) -> None:
        self.cluster.heal()
        _empty_database(self.cluster)
        self.cluster.sentinel = self.cluster.folder / f"sentinel-{run}"
        _await_workers(self.cluster)
        self.cluster.arm("")  # A crash point that an earlier trial armed in vain must not fire in this one.
        for fault in schedule.faults:
            if fault.point is not None and not fault.is_review:
                self.cluster.arm(crash_at(self.cluster, fault), processes_of(fault.point))
        self.cluster.relay.hostility = schedule.hostility

    def _disturb(self, schedule: Schedule, run: str, history: History) -> tuple[str, ...]:
        """Send messages and inject faults until both are over; return the faults that hit nothing."""
        is_over = threading.Event()
        reviewers = Reviewers(self.cluster, schedule.messages, run, history, self._crash_of_reviewers(schedule))
        reviewers.start()
        self._reviewers = reviewers
        clients = Clients(self.cluster, self.credentials, run, history)
        with ThreadPoolExecutor(len(schedule.faults) + 1, "faults") as pool:
            sending = pool.submit(clients.send_all, schedule.messages)
            injecting = {fault: pool.submit(inject, self.cluster, fault, is_over) for fault in schedule.faults}
            try:
                unfired = _outcomes(injecting, is_over, lambda: sending.done() and self._is_quiet(schedule, run))
                self._heal(schedule, run, history)
                sending.result()
            finally:
                is_over.set()
                clients.stop()
        return unfired

    def _heal(self, schedule: Schedule, run: str, history: History) -> None:
        self.cluster.heal()
        while self._look(schedule, run) is None:
            threading.Event().wait(_LOOK_EVERY_S)
        history.note_healed()

    def _converge(self, schedule: Schedule, run: str) -> float:
        """Wait until everything is settled, and return the seconds it took. While all wait, time passes in leaps."""
        began_at = since = monotonic()
        leapt_s, bound_s = 0.0, _BOUND_S if schedule.is_swept else _PROMPT_S
        before: Left | None = None
        while (lasted_s := monotonic() - began_at + leapt_s) < bound_s:
            self.cluster.revive()
            left = self._look(schedule, run)
            if left is not None and left.unsettled == 0:
                break
            if left != before:
                before, since = left, monotonic()
            if schedule.is_swept and left is not None and self._is_idle(left, since):
                leapt_s += self._leap()
                since = monotonic()
            threading.Event().wait(_LOOK_EVERY_S)
        self._reviewers.stop()
        return lasted_s

    def _is_idle(self, left: Left, since: float) -> bool:
        """Return whether time may leap: all that is left waits for it, or nothing has moved for a while.

        On a busy machine workers take long to start and reviewers to decide; no time may leap meanwhile.
        """
        return not left.held and (not left.moving or monotonic() - since > _PATIENCE_S) and _are_awake(self.cluster)

    def _is_quiet(self, schedule: Schedule, run: str) -> bool:
        left = self._look(schedule, run)
        return left is not None and not left.moving

    def _look(self, schedule: Schedule, run: str) -> Left | None:
        """Count what is left to do. The queue of direct sends comes first: what has left it is in the database."""
        try:
            with self.cluster.broker() as broker:
                unread = int(broker.llen(QueueName.ACCEPT))
            with connect(self.cluster.database_url, connect_timeout=2) as db:
                left = look(db, schedule, run)
        except (Error, redis.RedisError):
            return None
        return replace(left, unsettled=left.unsettled + unread, moving=left.moving + unread)

    def _leap(self) -> float:
        try:
            with connect(self.cluster.database_url, connect_timeout=2) as db:
                let_pass(db, _LEAP)
        except Error:  # PostgreSQL has just been restarted, or it was a deadlock. The next call leaps.
            return 0.0
        return _LEAP.total_seconds()

    def _crash_of_reviewers(self, schedule: Schedule) -> str:
        fault = next((fault for fault in schedule.faults if fault.is_review), None)
        return crash_at(self.cluster, fault) if fault else ""


def crash_at(cluster: Cluster, fault: PlannedFault) -> str:
    """Return the setting that arms this fault's crash point."""
    return f"{fault.point}:{fault.hit}:{fault.action}:{cluster.sentinel}"


@contextmanager
def open_runner(*, is_swept: bool = True) -> Iterator[Runner]:
    """Run a cluster in a temporary folder until the block ends. Unless `is_swept`, it sweeps only every ten minutes."""
    with TemporaryDirectory(prefix="postroom-chaos-", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder), sweep_tick_s=None if is_swept else _LATE_SWEEP_S)
        try:
            cluster.start_servers()
            create_database(cluster.maintenance_url, DATABASE)
            database = open_database(cluster.direct_settings, connections=1)
            migrate(database)
            database.dispose()
            runner = Runner(cluster, seed(cluster))
            for name in OURS:
                cluster.start(name)
            yield runner
        finally:
            cluster.close()


def _outcomes(
    injecting: dict[PlannedFault, "Future[bool]"], is_over: threading.Event, is_quiet: Callable[[], bool]
) -> tuple[str, ...]:
    """Return the faults that hit nothing. A crash point is given up once no process can pass it any more."""
    until = monotonic() + LOAD_S + _LAST_FAULT_S
    waiting = [future for fault, future in injecting.items() if fault.fault is not Fault.CRASH_POINT]
    for future in waiting:
        future.result()
    crashing = [future for future in injecting.values() if future not in waiting]
    for future in crashing:
        while not future.done() and monotonic() < until and not is_quiet():
            is_over.wait(_LOOK_EVERY_S)
    is_over.set()
    return tuple(fault.name for fault, future in injecting.items() if not future.result())


def _lateness(schedule: Schedule, converged_s: float) -> list[str]:
    if schedule.is_swept or converged_s < _PROMPT_S:
        return []
    return [f"bells_are_enough: with no bell lost not everything was settled after {_PROMPT_S:.0f} s"]


def _play_migration(cluster: Cluster, schedule: Schedule, fault: PlannedFault) -> TrialResult:
    began_at = monotonic()
    has_fired, faults = migrate_and_crash(cluster, fault, crash_at(cluster, fault))
    unfired = () if has_fired else (fault.name,)
    return TrialResult(replace(schedule, messages=()), faults, unfired, 0.0, monotonic() - began_at)


def _await_workers(cluster: Cluster) -> None:
    """Wait until every worker has registered itself; an earlier fault would hit nothing."""
    for _ in range(_START_LOOKS):
        cluster.revive()
        if _are_awake(cluster):
            return
        threading.Event().wait(_LOOK_EVERY_S)


def _are_awake(cluster: Cluster) -> bool:
    pids = [cluster.pid(name) for name in OURS if name != API]
    try:
        with connect(cluster.database_url, connect_timeout=2) as db:
            found = db.execute("SELECT DISTINCT pid FROM worker WHERE pid = ANY(%s)", (pids,)).fetchall()
    except Error:
        return False
    return len(found) == len(pids)


def _empty_database(cluster: Cluster) -> None:
    """Delete what an earlier trial has stored, as soon as the database allows it."""
    while True:
        try:
            empty(cluster.database_url)
        except Error:
            cluster.revive()
            threading.Event().wait(_LOOK_EVERY_S)
        else:
            return
