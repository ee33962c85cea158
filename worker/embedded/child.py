"""Start child processes, restart those that end, and stop them."""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from worker.embedded.system_user import run_as

_QUICK_RESTARTS = 5
_WINDOW_S = 60.0
_QUICK_DELAY_S = 0.2
# A lane is never without a worker for more than 10 s, of which a worker needs up to 5 s to start.
_LONGEST_DELAY_S = 5.0
FROZEN_AFTER_S = 20.0
"""A process that was healthy and does nothing for so long is frozen. A worker reports every second."""
_LOG_LIMIT_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Program:
    """What a child runs, where, with what environment and open sockets, and by which signal it stops.

    `is_healthy` returns quickly whether the child with this process id does its work. A server is stopped after
    everything that uses it.
    """

    name: str
    arguments: Sequence[str]
    folder: Path
    is_healthy: Callable[[int], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    sockets: tuple[int, ...] = ()
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    is_server: bool = False


class Child:
    """One program that is kept running.

    After each of the first five ends within a minute it is restarted at once. From then on each restart waits twice as
    long as the last, up to 5 s, until a minute has passed without any.
    """

    def __init__(
        self, program: Program, log_path: Path, report: Callable[[str], None], *, now: Callable[[], float] = monotonic
    ) -> None:
        self.program = program
        self.log_path = log_path
        self._report = report
        self._now = now
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_at: deque[float] = deque()
        self._start_at = 0.0
        self._healthy_at: float | None = None

    def start(self) -> None:
        """Start the program now."""
        self._healthy_at = None
        _rotate(self.log_path)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.program.arguments,
                cwd=self.program.folder,
                env=dict(self.program.environment),
                pass_fds=self.program.sockets,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches every process of the terminal's group, but the supervisor keeps an order of stopping.
                start_new_session=True,
                **run_as(self.program.user),
            )

    def restart_if_dead(self) -> None:
        """Report the end of the process, and restart the program when its delay has passed."""
        if self._process is not None and self._process.poll() is not None:
            delay_s = self._schedule_restart()
            ending = _describe_ending(self._process.returncode)
            self._report(f"{self.program.name} {ending}; it is restarted in {delay_s:.1f} s (log: {self.log_path})")
            self._process = None
        if self._process is None and self._now() >= self._start_at:
            self.start()

    @property
    def is_healthy(self) -> bool:
        """Whether the process runs and does its work."""
        process = self._process
        return process is not None and process.poll() is None and self.program.is_healthy(process.pid)

    def end_if_frozen(self) -> None:
        """Kill the process when it was healthy and is not any more for `FROZEN_AFTER_S`. It is then restarted.

        A process that has ended, or was never healthy, is left to `restart_if_dead`.
        """
        process = self._process
        if self.is_healthy:
            self._healthy_at = self._now()
        elif process is not None and self._healthy_at is not None and self._now() - self._healthy_at > FROZEN_AFTER_S:
            self._healthy_at = None
            self._report(f"{self.program.name} does nothing for {FROZEN_AFTER_S:.0f} s and is killed")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def excuse(self) -> None:
        """Forget that the process was healthy: what it needs is away, so that it may be unable to work."""
        self._healthy_at = None

    def ask_to_stop(self) -> None:
        """Send the program's stop signal."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self.program.stop_signal)

    def finish(self, timeout_s: float) -> bool:
        """Wait for the end of the process, and kill it after the timeout. Return whether it ended by itself."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return False
        return True

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the child's log."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _schedule_restart(self) -> float:
        now = self._now()
        self._ended_at.append(now)
        while self._ended_at[0] < now - _WINDOW_S:
            self._ended_at.popleft()
        too_many = len(self._ended_at) - _QUICK_RESTARTS
        delay_s = _QUICK_DELAY_S if too_many <= 0 else min(_LONGEST_DELAY_S, float(2**too_many))
        self._start_at = now + delay_s
        return delay_s


def _describe_ending(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _rotate(log_path: Path) -> None:
    """Rename a log above 10 MiB, so that a new one begins. One old log is kept."""
    if log_path.exists() and log_path.stat().st_size > _LOG_LIMIT_BYTES:
        log_path.replace(log_path.with_suffix(".log.old"))
