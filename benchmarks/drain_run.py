"""One measured run: everything is stored and published, workers are warmed up, then the clock starts."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import psutil

from benchmarks import contenders
from benchmarks.contenders import Contender, RunVerdict
from benchmarks.population import Population
from benchmarks.processes import BenchmarkServers, busy_cpu_seconds, cpu_seconds, memory_mib, running

_LIMIT_S = 90
_SAMPLE_EVERY_S = 0.2
# Less than any contender with so much work that it matters has reached on a busy machine.
_SLOWEST_RECIPIENTS_PER_S = 4000
_STAGES = 10


@dataclass(frozen=True, slots=True)
class Workload:
    """How much work a run is, and whether the database is emptied first (`is_fresh`)."""

    round: int
    recipients: int
    messages: int
    is_fresh: bool = True

    @property
    def limit_s(self) -> float:
        """How long it may take at most."""
        return _LIMIT_S + self.recipients * self.messages / _SLOWEST_RECIPIENTS_PER_S


@dataclass(frozen=True, slots=True)
class DrainRun:
    """The result of a run. Processor time is that of the workers, of every PostgreSQL process, and of Valkey.

    `course_mib` is the memory of the largest worker from the start of the clock to its end, at even distances.
    """

    contender: str
    round: int
    recipients: int
    messages: int
    seconds: float
    recipients_per_s: float
    messages_per_s: float
    cpu_s_per_10k: float
    worker_cpu_s_per_10k: float
    largest_worker_mib: float
    all_workers_mib: float
    others_cpu_share: float
    fault: str | None
    course_mib: tuple[float, ...] = ()


@dataclass(slots=True)
class Memory:
    """The most memory that the workers have held: the largest process, and all of them together.

    `looks_mib` has the largest process of each sample.
    """

    largest_mib: float = 0.0
    all_mib: float = 0.0
    looks_mib: list[float] = field(default_factory=list)

    def sample(self, processes: Sequence[psutil.Process]) -> None:
        """Take a sample."""
        sizes = memory_mib(processes)
        self.looks_mib.append(max(sizes, default=0.0))
        self.largest_mib = max(self.largest_mib, self.looks_mib[-1])
        self.all_mib = max(self.all_mib, sum(sizes))

    def course(self) -> tuple[float, ...]:
        """Return samples at even distances, the first and the last among them."""
        last = len(self.looks_mib) - 1
        positions = sorted({round(last * stage / _STAGES) for stage in range(_STAGES + 1)}) if last >= 0 else []
        return tuple(round(self.looks_mib[position], 1) for position in positions)


def drain(servers: BenchmarkServers, contender: Contender, population: Population, case: Workload) -> DrainRun:
    """Measure a contender with what was accepted before. The clock starts when its list appears at the broker."""
    servers.broker.flushall()
    if case.is_fresh:
        contenders.empty(contender)
    warm_up = population.orders(max(4, case.messages // 50), case.recipients, seed=-case.round)
    orders = population.orders(case.messages, case.recipients, seed=case.round)
    since = min(order.message_id for order in (*warm_up, *orders))
    contender.take_in([*warm_up, *orders])
    contenders.analyze(contender)
    contender.hand_over(orders)
    servers.broker.rename(contender.list_name, "parked")
    with working(contender) as processes:
        contender.hand_over(warm_up)
        await_open(servers, contender, len(orders), since=since)
        monitor = ResourceMonitor(servers, processes)
        sample = partial(monitor.memory.sample, processes)
        servers.broker.rename("parked", contender.list_name)
        await_open(servers, contender, 0, sample=sample, since=since, limit_s=case.limit_s)
        monitor.stop()
    verdict = contenders.verify(contender, population, [*warm_up, *orders], since=since)
    return monitor.conclude(contender, case, verdict)


class ResourceMonitor:
    """Measures processor time and memory from the start of the clock."""

    def __init__(self, servers: BenchmarkServers, processes: Sequence[psutil.Process]) -> None:
        self._servers = servers
        self._processes = processes
        self.memory = Memory()
        self._before = self._after = self._usage()
        self._began_at = self._ended_at = time.time()

    def stop(self) -> None:
        """Take the last measurement of processor time."""
        self._after, self._ended_at = self._usage(), time.time()

    def _usage(self) -> tuple[float, float, float, float]:
        workers = sum(map(cpu_seconds, self._processes))
        return busy_cpu_seconds(), workers, self._servers.cpu_seconds(), time.process_time()

    def conclude(self, contender: Contender, case: Workload, verdict: RunVerdict) -> DrainRun:
        """Return the result of the run."""
        busy, workers, servers, own = (now - then for now, then in zip(self._after, self._before, strict=True))
        seconds = verdict.finished_at - self._began_at
        recipients = case.messages * case.recipients
        observed_s = self._ended_at - self._began_at
        others = max(busy - workers - servers - own, 0.0) / observed_s / (psutil.cpu_count() or 1)
        return DrainRun(
            contender=contender.name,
            round=case.round,
            recipients=case.recipients,
            messages=case.messages,
            seconds=round(seconds, 3),
            recipients_per_s=round(recipients / seconds, 1),
            messages_per_s=round(case.messages / seconds, 1),
            cpu_s_per_10k=round((workers + servers) / recipients * 10_000, 3),
            worker_cpu_s_per_10k=round(workers / recipients * 10_000, 3),
            largest_worker_mib=round(self.memory.largest_mib, 1),
            all_workers_mib=round(self.memory.all_mib, 1),
            others_cpu_share=round(others, 3),
            fault=verdict.fault,
            course_mib=self.memory.course(),
        )


@contextmanager
def working(contender: Contender) -> Iterator[list[psutil.Process]]:
    """Run a contender's workers."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(running(command, lambda: True, environment=contender.environment))
            for command in contender.commands()
        ]


def await_open(  # noqa: PLR0913 - three are defaults
    servers: BenchmarkServers,
    contender: Contender,
    wanted: int,
    *,
    sample: Callable[[], None] = lambda: None,
    since: UUID = contenders.EVER,
    limit_s: float = _LIMIT_S,
) -> None:
    """Wait until no more than `wanted` messages from the id `since` on are open. Raises `TimeoutError`.

    PostgreSQL is queried only once the list at the broker is empty, so that the query costs the contender nothing.
    """
    clock = threading.Event()
    ends_at = time.monotonic() + limit_s
    while servers.broker.exists(contender.list_name) or contenders.count_open(contender, since=since) > wanted:
        if time.monotonic() > ends_at:
            raise TimeoutError(f"{contender.name} did not settle its messages within {limit_s:.0f} s")
        sample()
        clock.wait(_SAMPLE_EVERY_S)
