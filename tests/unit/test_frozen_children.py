"""The supervisor kills a process that was healthy and does nothing any more, and starts it again."""

import signal
import sys
from pathlib import Path

import psutil

from tests.support.waiting import wait_until
from worker.embedded.child import FROZEN_AFTER_S, Child, Program


def test_a_frozen_process_is_killed_and_restarted_and_one_that_only_lacks_its_server_is_not(tmp_path: Path) -> None:
    now, reports = [0.0], list[str]()
    program = Program(
        "sleeper",
        (sys.executable, "-c", "import time; time.sleep(60)"),
        tmp_path,
        lambda pid: psutil.Process(pid).status() != psutil.STATUS_STOPPED,
    )
    child = Child(program, tmp_path / "log", reports.append, now=lambda: now[0])
    child.start()
    child.end_if_frozen()
    assert child._process is not None
    frozen = child._process
    frozen.send_signal(signal.SIGSTOP)
    wait_until(lambda: not child.is_healthy)

    now[0] += FROZEN_AFTER_S
    child.end_if_frozen()
    soon = frozen.poll()
    now[0] += 1
    child.excuse()
    child.end_if_frozen()
    excused = frozen.poll()
    child._healthy_at = 0.0
    child.end_if_frozen()
    frozen.wait(10)
    child.restart_if_dead()
    now[0] += 1
    child.restart_if_dead()

    assert (None, None, -signal.SIGKILL) == (soon, excused, frozen.returncode)
    assert child.is_healthy
    child.ask_to_stop()
    child.finish(10)
