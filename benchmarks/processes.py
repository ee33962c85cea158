"""Starting the programs of a benchmark, stopping them again, and what they cost."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import redis

from delivery.records.database import answers
from worker.embedded.servers import Server, prepare_postgres, prepare_valkey

ROOT = Path(__file__).resolve().parent.parent
_START_TICKS, _TICK_S = 1200, 0.05
_STOP_TIMEOUT_S = 20
_FAREWELLS = (signal.SIGTERM, signal.SIGINT)
_FACTS = ("server_version", "fsync", "synchronous_commit")


@dataclass(frozen=True, slots=True)
class BenchmarkServers:
    """PostgreSQL with fsync and synchronous commits, and Valkey."""

    postgres: Server
    valkey: Server
    broker: "redis.Redis"
    programs: tuple[psutil.Process, ...]

    @property
    def facts(self) -> dict[str, str]:
        """What PostgreSQL says about its version and durability."""
        with psycopg.connect(self.postgres.url) as db:
            rows = db.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(_FACTS),))
            return {name: str(setting) for name, setting in rows}

    def cpu_seconds(self) -> float:
        """Say how much processor time both servers have used, every backend included."""
        return sum(map(cpu_seconds, self.programs))


@contextmanager
def open_servers() -> Iterator[BenchmarkServers]:
    """Start both servers in a temporary folder, and stop them again, also when this process is told to end."""
    with ExitStack() as stack:
        stack.enter_context(_ending_in_order())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postroom-bench-")))
        postgres, valkey = prepare_postgres(folder / "postgres"), prepare_valkey(folder / "valkey")
        programs = (
            stack.enter_context(_serving(postgres, lambda: answers(postgres.url), signal.SIGINT)),
            stack.enter_context(_serving(valkey, lambda: Path(socket_of(valkey.url)).exists(), signal.SIGTERM)),
        )
        broker = stack.enter_context(redis.Redis.from_url(valkey.url))
        yield BenchmarkServers(postgres, valkey, broker, programs)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGINT end this process through every block that has something to stop.

    Python's own way with SIGTERM is to be gone at once, and what it started would go on.
    """
    before = {number: signal.signal(number, _end) for number in _FAREWELLS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: object) -> None:
    del frame
    for each in _FAREWELLS:  # A second one must not interrupt the stopping.
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


@contextmanager
def _serving(server: Server, is_up: Callable[[], bool], farewell: signal.Signals) -> Iterator[psutil.Process]:
    with running(server.arguments, is_up, user=server.user, farewell=farewell) as process:
        yield process


@contextmanager
def running(
    command: Sequence[str],
    is_up: Callable[[], bool],
    *,
    user: str | None = None,
    environment: dict[str, str] | None = None,
    farewell: signal.Signals = signal.SIGTERM,
) -> Iterator[psutil.Process]:
    """Run a program until the block ends; the block begins when it is up."""
    process = subprocess.Popen(
        command,
        user=user,
        cwd="/" if user else ROOT,
        env={**os.environ, **(environment or {})},  # noqa: TID251 - what children inherit is no setting
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if environment is None else None,  # PostgreSQL tells of every checkpoint.
        start_new_session=True,
    )
    try:
        _await(process, is_up)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(farewell)
        _bury(process)


def _bury(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a program's end, and make one that is still busy end."""
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_TIMEOUT_S)


def _await(process: "subprocess.Popen[bytes]", is_up: Callable[[], bool]) -> None:
    for _ in range(_START_TICKS):
        if is_up():
            return
        try:
            process.wait(_TICK_S)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"{process.args!r} does not serve.")


def cpu_seconds(process: psutil.Process) -> float:
    """Sum up a process and all its children, those that have ended included."""
    own = process.cpu_times()
    living = [_own_cpu_seconds(child) for child in process.children(recursive=True)]
    return float(own.user + own.system + own.children_user + own.children_system) + sum(living)


def _own_cpu_seconds(process: psutil.Process) -> float:
    try:
        own = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(own.user + own.system)


def memory_mib(processes: Iterable[psutil.Process]) -> list[float]:
    """Say how much memory each of these and of their children holds (RSS; what forks share counts in each)."""
    family = [each for process in processes for each in (process, *process.children(recursive=True))]
    return [_memory_mib(each) for each in family]


def _memory_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def busy_cpu_seconds() -> float:
    """Say how long processors were taken from idleness, by anybody, the host included (steal)."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0))


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def socket_of(url: str) -> str:
    """Give the path of the socket in a `unix://` address."""
    return url.removeprefix("unix://").partition("?")[0]
