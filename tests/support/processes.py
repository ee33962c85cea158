"""Processes of tests, trials and benchmarks: start them, wait until they are ready, signal them and stop them.

`worker/embedded/child.py` stays apart: it is product code, and it restarts what crashes.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import psutil

from worker.embedded.servers import Server
from worker.embedded.system_user import run_as

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
STOP_S = 20.0
_TICK_S = 0.02
# A process cannot pass these on to its children itself.
_ALSO_TO_CHILDREN = frozenset({signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT})

Process = subprocess.Popen[bytes]


def launch(
    command: Sequence[str],
    *,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    shows_errors: bool = False,
    user: str | None = None,
    sockets: Sequence[int] = (),
) -> Process:
    """Start a program with `environment` on top of our own. Its output is appended to `log`, or dropped.

    It gets a session of its own: Ctrl-C would reach all processes of ours at once, in no order.
    """
    with (log or Path(os.devnull)).open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=_on_top_of_ours(environment),
            pass_fds=sockets,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if shows_errors else output,
            start_new_session=True,
            **run_as(user),
        )


def run_to_end(
    command: Sequence[str],
    *,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    text: str | None = None,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program with `text` as its input; return its exit code and its output."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=_on_top_of_ours(environment),
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _on_top_of_ours(environment: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(environment or {})}  # noqa: TID251 - what children inherit is no setting


def wait_until_ready(process: Process, is_ready: Callable[[], object], *, within_s: float = START_S) -> None:
    """Wait until a process is ready. Raises `RuntimeError` when it ends first, or is not ready in time."""
    deadline = monotonic() + within_s
    while not is_ready():
        if monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} was not ready within {within_s:.0f} s.")
        with suppress(subprocess.TimeoutExpired):
            raise RuntimeError(f"{process.args!r} ended with {process.wait(_TICK_S)} before it was ready.")


def send_signal(number: signal.Signals, *processes: Process) -> None:
    """Signal processes; SIGKILL, SIGSTOP and SIGCONT reach their children too, after their parent."""
    for parent in processes:
        # A killed parent has no children any more; a stopped one cannot make another while they are listed.
        children = _children(parent) if number is signal.SIGKILL else []
        parent.send_signal(number)
        if number in _ALSO_TO_CHILDREN and number is not signal.SIGKILL:
            children = _children(parent)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.send_signal(number)


def _children(process: Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


@contextmanager
def running(
    command: Sequence[str],
    is_ready: Callable[[], object],
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
    **options: Any,
) -> Iterator[Process]:
    """Run a program until the block ends; the block begins once it is ready. One that does not stop is killed."""
    process = launch(command, **options)
    try:
        wait_until_ready(process, is_ready)
        yield process
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_S)


class NamedProcesses:
    """Processes by their names, each with a log file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, Process] = {}

    def launch(self, name: str, *command: str, **options: Any) -> None:
        """Start a program under this name."""
        self.processes[name] = launch(command, log=self.folder / f"{name}.log", **options)

    def serve(self, name: str, server: Server, *more: str) -> None:
        """Start an embedded server, with more arguments."""
        self.launch(name, *server.arguments, *more, cwd=Path("/"), user=server.user)

    @property
    def living(self) -> dict[str, int]:
        """The ids of the processes that run now."""
        return {name: each.pid for name, each in self.processes.items() if each.poll() is None}

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """Signal a process, and where it cannot pass the signal on, its children."""
        send_signal(number, self.processes[name])

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM, *, within_s: float = STOP_S) -> int:
        """Signal a process, wait for its end, and return its exit code."""
        self.send_signal(name, number)
        return self.processes.pop(name).wait(within_s)

    def kill(self, *names: str) -> int:
        """Kill these processes and their children at once; return how many of them ran."""
        running_ones = [self.processes[name] for name in names if self.processes[name].poll() is None]
        send_signal(signal.SIGKILL, *running_ones)
        for process in running_ones:
            process.wait(STOP_S)
        return len(running_ones)
