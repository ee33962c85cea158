"""Crash points: nothing while off; armed, once, at the hit that was asked for."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from delivery.crash_points import CrashPoint, acknowledgement_file, arm, crash_here, read_armed_crash

HERE, ELSEWHERE = CrashPoint.DATA_END_SENT, CrashPoint.DATA_END_AHEAD
PROGRAM = "import sys; from delivery.crash_points import *; arm(sys.argv[1]); crash_here(CrashPoint.DATA_END_SENT)"


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


def test_a_crash_point_does_nothing_until_it_is_armed() -> None:
    arm("")

    crash_here(HERE)


def test_an_armed_point_springs_at_the_hit_that_was_asked_for(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    arm(f"{HERE}:2:cut:{mark}")

    crash_here(ELSEWHERE)
    crash_here(HERE)
    is_early = mark.exists()

    with pytest.raises(ConnectionResetError, match="data_end_sent"):
        crash_here(HERE)
    assert (False, True) == (is_early, mark.exists())


def test_a_point_that_has_sprung_once_never_springs_again(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    arm(f"{HERE}:1:cut:{tmp_path / 'mark'}")

    crash_here(HERE)


def test_a_killed_process_ends_as_by_kill_9(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, f"{HERE}:1:kill:{tmp_path / 'mark'}"], check=False)

    assert -signal.SIGKILL == ended.returncode
    assert (tmp_path / "mark").exists()


def test_a_process_that_is_armed_by_a_file_obeys_what_it_says_next(tmp_path: Path) -> None:
    orders, mark = tmp_path / "orders", tmp_path / "mark"
    orders.touch()
    arm(f"@{orders}")
    crash_here(HERE)

    orders.write_text(f"{HERE}:1:cut:{mark}")
    await_obeyed(orders)

    with pytest.raises(ConnectionResetError):
        crash_here(HERE)
    orders.write_text("")
    await_obeyed(orders)


def await_obeyed(orders: Path) -> None:
    """Wait until these orders are obeyed."""
    for _ in range(500):
        if acknowledgement_file(orders).read_text() == orders.read_text():
            return
        Event().wait(0.01)
    raise AssertionError("It was never obeyed.")


@pytest.mark.parametrize(
    "nonsense", ["data_end_sent", "nowhere:1:kill:/x", "data_end_sent:x:kill:/x", "data_end_sent:1:dance:/x"]
)
def test_what_names_no_crash_is_an_error(nonsense: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_armed_crash(nonsense)
