"""Run a thread that a worker cannot do without: a defect in it ends the process, so that a supervisor restarts it."""

import os
import signal
import threading
from abc import ABC, abstractmethod
from time import monotonic

import structlog

_log = structlog.get_logger()
_STUCK_AFTER_S = 300.0


class CriticalThread(ABC):
    """Take turns on a thread until `stop`, with a pause between them that `stop` ends early.

    A subclass catches the errors that it expects, such as a database that does not answer. Any other exception is a
    defect: it is logged once as `defect_event`, and the process gets SIGTERM. Without that, a worker that has lost
    one of these threads would look healthy and do only a part of its work.
    """

    def __init__(self, name: str, *, defect_event: str) -> None:
        self._defect_event = defect_event
        self._is_stopping = threading.Event()
        self._turn_began_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. It takes its first turn at once."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask the thread to stop after the turn under way, and wait for its end for `timeout_s` at most."""
        self._is_stopping.set()
        self._thread.join(timeout_s)

    @property
    def is_stuck(self) -> bool:
        """Whether the turn under way takes longer than any turn should."""
        began_at = self._turn_began_at
        return began_at is not None and monotonic() - began_at > _STUCK_AFTER_S

    def end_process_if_stuck(self) -> None:
        """Kill this process if the thread is stuck: its main thread may be stuck too, and then hears no SIGTERM."""
        if self.is_stuck:
            _log.error("thread_stuck", thread=self._thread.name, what_now="the supervisor starts another worker")
            os.kill(os.getpid(), signal.SIGKILL)

    @abstractmethod
    def _turn(self) -> float:
        """Do the work once. Return how long to pause before the next turn, in seconds."""

    def _begin(self) -> float:
        """Do what comes before the first turn, even when `stop` was called already. Return the pause that follows."""
        return 0.0

    def _finish(self) -> None:  # noqa: B027 - most threads have nothing to finish
        """Do what comes after the last turn."""

    def _run(self) -> None:
        try:
            pause_s = self._begin()
            while not self._is_stopping.wait(pause_s):
                self._turn_began_at = monotonic()
                pause_s = self._turn()
                self._turn_began_at = None
            self._finish()
        except BaseException:
            _log.exception(self._defect_event)
            os.kill(os.getpid(), signal.SIGTERM)
            raise
