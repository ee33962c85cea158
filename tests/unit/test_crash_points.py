"""Crash points do nothing until one is armed; an armed one crashes once, at the ordered hit."""

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


def test_an_armed_point_crashes_at_the_ordered_hit(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    arm(f"{HERE}:2:cut:{sentinel}")

    crash_here(ELSEWHERE)
    crash_here(HERE)
    is_early = sentinel.exists()

    with pytest.raises(ConnectionResetError, match="data_end_sent"):
        crash_here(HERE)
    assert (False, True) == (is_early, sentinel.exists())


def test_a_point_that_has_crashed_once_never_crashes_again(tmp_path: Path) -> None:
    (tmp_path / "sentinel").touch()
    arm(f"{HERE}:1:cut:{tmp_path / 'sentinel'}")

    crash_here(HERE)


def test_a_killed_process_ends_as_by_kill_9(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, f"{HERE}:1:kill:{tmp_path / 'sentinel'}"], check=False)

    assert -signal.SIGKILL == ended.returncode
    assert (tmp_path / "sentinel").exists()


def test_a_process_that_is_armed_by_a_command_file_follows_its_changes(tmp_path: Path) -> None:
    command_file, sentinel = tmp_path / "command", tmp_path / "sentinel"
    command_file.touch()
    arm(f"@{command_file}")
    crash_here(HERE)

    command_file.write_text(f"{HERE}:1:cut:{sentinel}")
    await_acknowledgement(command_file)

    with pytest.raises(ConnectionResetError):
        crash_here(HERE)
    command_file.write_text("")
    await_acknowledgement(command_file)


def await_acknowledgement(command_file: Path) -> None:
    """Wait until the command in this file is acknowledged."""
    for _ in range(500):
        if acknowledgement_file(command_file).read_text() == command_file.read_text():
            return
        Event().wait(0.01)
    raise AssertionError("The command was never acknowledged.")


@pytest.mark.parametrize(
    "invalid", ["data_end_sent", "nowhere:1:kill:/x", "data_end_sent:x:kill:/x", "data_end_sent:1:dance:/x"]
)
def test_a_text_that_names_no_crash_is_an_error(invalid: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_armed_crash(invalid)
