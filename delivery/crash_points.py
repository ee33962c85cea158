"""Crash points: named places where a reliability trial can kill, freeze or cut the process that reaches them.

docs/crash-points.md lists where each one is and what must hold after it. `make chaos` arms them. While none is armed,
each costs one comparison.
"""

import os
import signal
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

_COMMAND_INTERVAL_S = 0.05


class CrashPoint(StrEnum):
    """Every place between a parsed request and a committed outcome where a crash leaves a different state behind."""

    REQUEST_PARSED = "request_parsed"
    ACCEPT_WRITTEN = "accept_written"
    ACCEPT_COMMITTED = "accept_committed"
    ACCEPT_BEFORE_BELL = "accept_before_bell"
    ACCEPT_RUNG = "accept_rung"
    ANSWER_UNSENT = "answer_unsent"
    BELL_TAKEN = "bell_taken"
    BELL_UNFLUSHED = "bell_unflushed"
    BELL_PUBLISHED = "bell_published"
    BELL_HEARD = "bell_heard"
    DECIDE_LOCKED = "decide_locked"
    DECIDE_MOVED = "decide_moved"
    DECIDE_WRITTEN = "decide_written"
    DECIDE_COMMITTED = "decide_committed"
    DECIDE_RUNG = "decide_rung"
    VET_WRITTEN = "vet_written"
    VET_COMMITTED = "vet_committed"
    RULE_CLOSED = "rule_closed"
    RULE_WRITTEN = "rule_written"
    RULE_COMMITTED = "rule_committed"
    UNDO_WRITTEN = "undo_written"
    UNDO_COMMITTED = "undo_committed"
    APPLY_WRITTEN = "apply_written"
    APPLY_COMMITTED = "apply_committed"
    CLAIM_WRITTEN = "claim_written"
    CLAIM_COMMITTED = "claim_committed"
    CONNECT_AHEAD = "connect_ahead"
    DATA_END_AHEAD = "data_end_ahead"
    DATA_END_SENT = "data_end_sent"
    DATA_END_ANSWERED = "data_end_answered"
    OUTCOME_WRITTEN = "outcome_written"
    OUTCOME_COMMITTED = "outcome_committed"
    LEASE_EXPIRY_WRITTEN = "lease_expiry_written"
    LEASE_EXPIRY_COMMITTED = "lease_expiry_committed"
    SWEEP_FOUND = "sweep_found"
    SWEEP_WORKED = "sweep_worked"
    DIRECT_SEEN = "direct_seen"
    DIRECT_WRITTEN = "direct_written"
    DIRECT_COMMITTED = "direct_committed"
    DIRECT_UNREMOVED = "direct_unremoved"
    MIGRATION_LOCKED = "migration_locked"
    MIGRATION_WRITTEN = "migration_written"
    MIGRATION_COMMITTED = "migration_committed"


class CrashAction(StrEnum):
    """What happens at an armed crash point."""

    KILL = "kill"
    """The process ends as if by `kill -9`."""
    FREEZE = "freeze"
    """The process stops until it gets SIGCONT."""
    CUT = "cut"
    """`ConnectionResetError` is raised."""


@dataclass(slots=True)
class ArmedCrash:
    """An armed crash point. It fires at the `countdown`-th hit, unless the file `sentinel` exists."""

    point: CrashPoint
    countdown: int
    action: CrashAction
    sentinel: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hit(self) -> None:
        """Count down, and fire at zero. The sentinel shows the trial that it fired, and stops it from firing again."""
        with self._lock:
            self.countdown -= 1
            if self.countdown != 0 or self.sentinel.exists():
                return
            self.sentinel.touch()
        if self.action is CrashAction.CUT:
            raise ConnectionResetError(f"cut at the crash point {self.point}")
        os.kill(os.getpid(), signal.SIGKILL if self.action is CrashAction.KILL else signal.SIGSTOP)


class _Armed:
    """Holds the armed crash point of this process, if there is one."""

    crash: ArmedCrash | None = None


_armed = _Armed()


def crash_here(point: CrashPoint) -> None:
    """Do nothing, unless a trial armed this point."""
    if _armed.crash is not None and _armed.crash.point is point:
        _armed.crash.hit()


def arm(crash_at: str) -> None:
    """Arm the crash point of the setting `crash_at`, which is `POINT:HIT:ACTION:SENTINEL`. An empty one disarms.

    `@FILE` reads the same from that file, now and whenever the file changes. A trial need not restart a process to arm
    it, which would take most of the trial's time.

    Raises `ValueError` for anything else.
    """
    if crash_at.startswith("@"):
        command_file = Path(crash_at[1:])
        known = _apply_command(command_file, before=None)
        threading.Thread(
            target=_follow_commands, args=(command_file, known), name="crash commands", daemon=True
        ).start()
        return
    _armed.crash = read_armed_crash(crash_at) if crash_at else None


def acknowledgement_file(command_file: Path) -> Path:
    """Return the file to which a process copies each command that it has applied."""
    return command_file.with_suffix(".obeyed")


def _follow_commands(command_file: Path, known: str) -> None:
    pause = threading.Event()
    while not pause.wait(_COMMAND_INTERVAL_S):
        known = _apply_command(command_file, before=known)


def _apply_command(command_file: Path, before: str | None) -> str:
    command = command_file.read_text(encoding="utf-8")
    if command != before:
        arm(command)
        acknowledgement_file(command_file).write_text(command, encoding="utf-8")
    return command


def read_armed_crash(crash_at: str) -> ArmedCrash:
    """Read `POINT:HIT:ACTION:SENTINEL`. HIT counts from 1; SENTINEL is the path of a file. Raises `ValueError`."""
    point, hit, action, sentinel = crash_at.split(":", 3)
    return ArmedCrash(CrashPoint(point), int(hit), CrashAction(action), Path(sentinel))
