"""The programs of a benchmark: its servers, its contenders, and the processor time and memory that they use."""

import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import redis

from tests.support import processes
from tests.support.servers import serving
from worker.embedded.servers import Server, prepare_postgres, prepare_valkey

ROOT = processes.ROOT
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
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
        """The version of PostgreSQL and its settings of durability."""
        with psycopg.connect(self.postgres.url) as db:
            rows = db.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(_FACTS),))
            return {name: str(setting) for name, setting in rows}

    def cpu_seconds(self) -> float:
        """Return the processor time that both servers have used, every backend included."""
        return sum(map(cpu_seconds, self.programs))


@contextmanager
def open_servers() -> Iterator[BenchmarkServers]:
    """Run both servers in a temporary folder until the block ends, also when this process gets SIGTERM or SIGINT."""
    with ExitStack() as stack:
        stack.enter_context(_ending_in_order())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postroom-bench-")))
        postgres, valkey = prepare_postgres(folder / "postgres"), prepare_valkey(folder / "valkey")
        programs = (
            stack.enter_context(serving(postgres, stop_signal=signal.SIGINT)),
            stack.enter_context(serving(valkey, stop_signal=signal.SIGTERM)),
        )
        broker = stack.enter_context(redis.Redis.from_url(valkey.url))
        yield BenchmarkServers(postgres, valkey, broker, tuple(psutil.Process(each.pid) for each in programs))


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGINT end this process through every block that has something to stop.

    By default SIGTERM ends Python at once, and what it started would go on.
    """
    before = {number: signal.signal(number, _end) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: object) -> None:
    del frame
    for each in _STOP_SIGNALS:  # A second one must not interrupt the stopping.
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


@contextmanager
def running(
    command: Sequence[str], is_ready: Callable[[], bool], *, environment: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    """Run a program until the block ends; the block begins once it is ready. Its errors are shown."""
    with processes.running(command, is_ready, environment=environment, shows_errors=True) as process:
        yield psutil.Process(process.pid)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and all its children, those that have ended included."""
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
    """Return the memory of each of these and of their children, in MiB (RSS: what forks share counts in each)."""
    family = [each for process in processes for each in (process, *process.children(recursive=True))]
    return [_memory_mib(each) for each in family]


def _memory_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def busy_cpu_seconds() -> float:
    """Return how long all processors together were not idle, time stolen by the host included."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0))


def socket_of(url: str) -> str:
    """Return the path of the socket in a `unix://` address."""
    return url.removeprefix("unix://").partition("?")[0]
