"""A defect in a critical thread ends the worker process, and stopping a critical thread takes a bounded time."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.waiting import wait_until
from worker.runtime.critical_thread import CriticalThread
from worker.runtime.direct_reader import DirectSendReader
from worker.runtime.liveness import LivenessMonitor
from worker.runtime.sweep import Sweep

# Run by a Python of its own, because it ends the process.
_WORKER_WITH_A_DEFECT = """
import time
from delivery.logs import configure_logs
from worker.runtime.critical_thread import CriticalThread

class Defective(CriticalThread):
    def _turn(self):
        raise ZeroDivisionError

configure_logs("INFO")
Defective("defective", defect_event="thread_broken").start()
time.sleep(30)
"""


class RecordingThread(CriticalThread):
    """Records what it does; a turn can be made to last."""

    def __init__(self, *, pause_s: float = 0.0) -> None:
        super().__init__("recording", defect_event="recording_broken")
        self.calls: list[str] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._pause_s = pause_s

    def _begin(self) -> float:
        self.calls.append("begin")
        return 0.0

    def _turn(self) -> float:
        self.calls.append("turn")
        self.may_go_on.wait(10)
        return self._pause_s

    def _finish(self) -> None:
        self.calls.append("finish")


@pytest.fixture
def sigterms() -> Iterator[list[int]]:
    """Collect the SIGTERMs that this process gets, instead of ending it."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)


def test_a_turn_that_raises_ends_the_process_after_one_log_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _WORKER_WITH_A_DEFECT], capture_output=True, text=True, timeout=20, check=False
    )

    lines = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    assert (-signal.SIGTERM, ["thread_broken"]) == (ended.returncode, [line["event"] for line in lines])
    assert "ZeroDivisionError" == lines[0]["error"]


@pytest.mark.parametrize(
    ("make_thread", "event"),
    [
        (lambda incomplete: Sweep(incomplete, (), incomplete), "sweep_broken"),
        (lambda incomplete: DirectSendReader(incomplete, incomplete), "reader_broken"),
        (lambda incomplete: LivenessMonitor(incomplete, incomplete, incomplete), "watch_broken"),
    ],
    ids=["sweep", "direct reader", "liveness"],
)
# The exception also leaves the thread, so that its traceback reaches standard error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_each_critical_thread_of_a_worker_logs_its_own_event(
    make_thread: Any, event: str, sigterms: list[int], tmp_path: Path
) -> None:
    incomplete = SimpleNamespace(settings=SimpleNamespace(journal_folder=str(tmp_path)), lock_key=1)
    thread = make_thread(incomplete)

    with capture_logs() as logs:
        thread.start()
        wait_until(lambda: sigterms)

    thread._thread.join(5)
    assert ([event], [signal.SIGTERM]) == ([line["event"] for line in logs], sigterms)


def test_stop_ends_a_pause_early() -> None:
    thread = RecordingThread(pause_s=60)
    thread.start()
    wait_until(lambda: "turn" in thread.calls)

    thread.stop()

    assert ["begin", "turn", "finish"] == thread.calls


def test_stop_does_not_wait_longer_than_its_timeout() -> None:
    thread = RecordingThread()
    thread.may_go_on.clear()
    thread.start()
    wait_until(lambda: "turn" in thread.calls)
    began_at = monotonic()

    thread.stop(timeout_s=0.05)

    took_s = monotonic() - began_at
    thread.may_go_on.set()
    thread.stop()
    assert took_s < 5
    assert "finish" == thread.calls[-1]


def test_a_thread_that_is_stopped_before_it_begins_takes_no_turn() -> None:
    thread = RecordingThread()
    thread._is_stopping.set()
    thread.start()

    thread.stop()

    assert ["begin", "finish"] == thread.calls


def test_a_turn_that_takes_longer_than_five_minutes_is_stuck() -> None:
    thread = RecordingThread()
    thread._turn_began_at = monotonic() - 299
    before = thread.is_stuck
    thread._turn_began_at = monotonic() - 301

    assert (False, True) == (before, thread.is_stuck)
