"""One measured run: everything stored and published first, workers warm, then the clock."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psutil

from benchmarks import contenders
from benchmarks.contenders import Contender, Verdict
from benchmarks.population import Population
from benchmarks.programs import Servers, busy_cpu_seconds, cpu_seconds, memory_mib, running

_PATIENCE_S = 90
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Case:
    """How much work a run is."""

    round: int
    recipients: int
    messages: int


@dataclass(frozen=True, slots=True)
class Run:
    """What a run showed. Processor time is that of the workers, of every PostgreSQL process, and of Valkey."""

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


@dataclass(slots=True)
class Memory:
    """The most that the workers have held: the largest process, and all of them together."""

    largest_mib: float = 0.0
    all_mib: float = 0.0

    def look(self, processes: Sequence[psutil.Process]) -> None:
        """Look again."""
        sizes = memory_mib(processes)
        self.largest_mib = max(self.largest_mib, *sizes, 0.0)
        self.all_mib = max(self.all_mib, sum(sizes))


def drain(servers: Servers, contender: Contender, population: Population, case: Case) -> Run:
    """Let a contender work off what was accepted before. The clock starts when its list appears at the broker."""
    servers.broker.flushall()
    contenders.empty(contender)
    warm_up = population.orders(max(4, case.messages // 50), case.recipients, seed=-case.round)
    orders = population.orders(case.messages, case.recipients, seed=case.round)
    contender.take_in([*warm_up, *orders])
    contenders.analyze(contender)
    contender.hand_over(orders)
    servers.broker.rename(contender.list_name, "parked")
    with working(contender) as processes:
        contender.hand_over(warm_up)
        await_open(servers, contender, len(orders))
        watched = Watch(servers, processes)
        servers.broker.rename("parked", contender.list_name)
        await_open(servers, contender, 0, look=lambda: watched.memory.look(processes))
        watched.stop()
    verdict = contenders.judge(contender, population, [*warm_up, *orders])
    return watched.conclude(contender, case, verdict)


class Watch:
    """Looks at processors and memory from the start of the clock."""

    def __init__(self, servers: Servers, processes: Sequence[psutil.Process]) -> None:
        self._servers = servers
        self._processes = processes
        self.memory = Memory()
        self._before = self._after = self._look()
        self._began_at = self._ended_at = time.time()

    def stop(self) -> None:
        """Look for the last time."""
        self._after, self._ended_at = self._look(), time.time()

    def _look(self) -> tuple[float, float, float, float]:
        workers = sum(map(cpu_seconds, self._processes))
        return busy_cpu_seconds(), workers, self._servers.cpu_seconds(), time.process_time()

    def conclude(self, contender: Contender, case: Case, verdict: Verdict) -> Run:
        """Say what the run has shown."""
        busy, workers, servers, own = (now - then for now, then in zip(self._after, self._before, strict=True))
        seconds = verdict.finished_at - self._began_at
        recipients = case.messages * case.recipients
        looked = self._ended_at - self._began_at
        others = max(busy - workers - servers - own, 0.0) / looked / (psutil.cpu_count() or 1)
        return Run(
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
        )


@contextmanager
def working(contender: Contender) -> Iterator[list[psutil.Process]]:
    """Run a contender's workers."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(running(command, lambda: True, environment=contender.environment))
            for command in contender.commands()
        ]


def await_open(servers: Servers, contender: Contender, wanted: int, *, look: Callable[[], None] = lambda: None) -> None:
    """Wait until so few messages are open. Raises `TimeoutError`.

    PostgreSQL is asked once the list at the broker is empty, so that the question costs the contender nothing.
    """
    clock = threading.Event()
    ends_at = time.monotonic() + _PATIENCE_S
    while servers.broker.exists(contender.list_name) or contenders.count_open(contender) > wanted:
        if time.monotonic() > ends_at:
            raise TimeoutError(f"{contender.name} did not work off its messages within {_PATIENCE_S} s")
        look()
        clock.wait(_LOOK_EVERY_S)
