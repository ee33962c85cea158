"""The sweep: in every worker, a thread that finds due rows and has the worker's own pool work on them.

It needs the database and nothing else. With a broker that is empty, wiped or dead every message is still completed;
the bell only makes it fast.
"""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from delivery.records import census, due
from delivery.records.census import WorkerIdentity
from delivery.records.engine import STORE_UNAVAILABLE, transaction
from delivery.vocabulary import Channel, QueueName
from tasks.office import Office
from tasks.step import DECIDE, DELIVER, EXPIRE, LAPSE, VET, Step, StepFailed

Work = Callable[[], None]
# Runs one piece of work on the worker's pool and answers a function that waits for its end.
Pool = Callable[[Work], Callable[[], None]]

_log = structlog.get_logger()
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Round:
    """One question of the sweep, and the step that takes its answers, `size` of them in one piece of work."""

    find: Callable[..., Sequence[Any]]
    step: Step[Any]
    size: int = _ROWS_AT_ONCE


ROUNDS: dict[QueueName, tuple[Round, ...]] = {
    QueueName.ACCEPT: (),  # Whatever lies there is no row yet.
    QueueName.DECIDE: (
        Round(due.undecided, DECIDE, size=100),
        # The inbox needs no network and so no lane of its own: these were put off by quiet hours, and all at once.
        Round(partial(due.lapsed, channel=Channel.INBOX), LAPSE),
        Round(partial(due.waiting, channel=Channel.INBOX), DELIVER),
    ),
    QueueName.VETTING: (Round(due.unopened, VET), Round(due.expired, EXPIRE)),
    QueueName.DELIVER_SMTP: (
        Round(partial(due.lapsed, channel=Channel.EMAIL), LAPSE),
        Round(partial(due.waiting, channel=Channel.EMAIL), DELIVER, size=1),
    ),
}
"""What the sweep of a worker does for each queue that the worker serves."""


class Sweep:
    """The sweeping thread of one worker. It also says in the database that the worker is alive."""

    def __init__(self, office: Office, identity: WorkerIdentity, pool: Pool) -> None:
        self._office = office
        self._identity = identity
        self._pool = pool
        self._rounds = [each for name in identity.queues for each in ROUNDS[QueueName(name)]]
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Begin to sweep, at once and then every `sweep_tick_s`."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after the round that is under way, and sign off."""
        self._is_stopping.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._is_stopping.is_set():
                found = self._tick()
                if found < _ROWS_AT_ONCE:  # A full catch means that more is due: go on at once.
                    self._is_stopping.wait(self._office.settings.sweep_tick_s)
            self._sign_off()
        except BaseException:
            # A worker without its sweep would look healthy and lose the promise: let the supervisor start another.
            _log.exception("sweep_broken")
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    def _tick(self) -> int:
        try:
            with transaction(self._office.store) as db:
                census.report_alive(db, self._identity)
            return max([self._sweep(each) for each in self._rounds], default=0)
        except STORE_UNAVAILABLE as error:
            _log.warning("store_unavailable", error=type(error).__name__, what_now="the sweep asks again")
            return 0

    def _sweep(self, each: Round) -> int:
        with transaction(self._office.store) as db:
            found = each.find(db, limit=_ROWS_AT_ONCE)
        pieces = [found[start : start + each.size] for start in range(0, len(found), each.size)]
        for wait in [self._pool(partial(self._attempt, each, piece)) for piece in pieces]:
            wait()
        if found:
            _log.info("swept", step=each.step.name, rows=len(found))
        return len(found)

    def _attempt(self, each: Round, piece: Sequence[Any]) -> None:
        """Do one piece of work. A step that broke has logged and set its rows aside; the sweep goes on."""
        if self._is_stopping.is_set():
            return
        try:
            each.step.work(self._office, piece)
        except StepFailed:
            return
        except STORE_UNAVAILABLE as error:
            _log.warning("store_unavailable", error=type(error).__name__, what_now="the sweep asks again")

    def _sign_off(self) -> None:
        try:
            with transaction(self._office.store) as db:
                census.report_gone(db, self._identity)
        except STORE_UNAVAILABLE:
            _log.warning("store_unavailable", what_now="the worker is forgotten a day from now")
