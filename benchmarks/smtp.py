"""`make bench-smtp`: the SMTP lane with a relay that answers at once, and with one that takes 50 ms for each mail.

Every message is decided and every bell rung before the clock starts. Afterwards every recipient has to be settled, and
the relay has to have received as many mails as recipients, none twice.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import contenders
from benchmarks.contenders import module
from benchmarks.drain import save, tell
from benchmarks.drain_report import spread
from benchmarks.drain_run import DrainRun, ResourceMonitor, Workload, await_open, working
from benchmarks.peer_contenders import Peer, textbook
from benchmarks.population import Order, Population, populate
from benchmarks.postroom import Postroom
from benchmarks.processes import BenchmarkServers, open_servers, running
from delivery.vocabulary import Channel, QueueName
from tasks.lanes import LaneName
from tests.support.ports import free_port, is_listening

_CONCURRENCY = 32
_WARM_UP = 400


class Mailing(Postroom):
    """Postroom's SMTP lane. Its messages are decided before the clock starts."""

    list_name = str(QueueName.DELIVER_SMTP)
    lane = LaneName.SMTP

    def __init__(self, servers: BenchmarkServers, trial: "SmtpTrial", smtp_port: int) -> None:
        url = f"smtp://127.0.0.1:{smtp_port}"
        super().__init__(servers, trial.workers, smtp_url=url, smtp_concurrency=_CONCURRENCY)
        self.is_bare = trial.is_bare
        self._database = f"mailing_{trial.workers}_{smtp_port}"

    def seed(self, population: Population, *, channel: Channel = Channel.EMAIL) -> None:
        """Make the tables, the client and the accounts, which are reached by e-mail."""
        super().seed(population, channel=channel)

    def hand_over(self, orders: Sequence[Order]) -> None:
        """Decide these messages with a worker as in production, which rings for every recipient."""
        super().hand_over(orders)
        deciding = module("worker", "worker", "decide")
        with running(deciding, lambda: self._is_decided(orders), environment=self.environment):
            pass

    def _is_decided(self, orders: Sequence[Order]) -> bool:
        ids = [order.message_id for order in orders]
        question = "SELECT count(*) FROM message WHERE id = ANY(%s) AND decided_at IS NULL"
        return int(contenders.ask(self, question, (ids,))) == 0


@dataclass(slots=True)
class MailCount:
    """How many mails and different recipients the relay has received, once it has stopped."""

    mails: int = 0
    recipients: int = 0


@dataclass(frozen=True, slots=True)
class SmtpTrial:
    """One relay and one set of workers."""

    latency_ms: int
    workers: int
    messages: int
    is_ours: bool = True
    is_bare: bool = False

    @property
    def name(self) -> str:
        """The name of the sender in the table."""
        if not self.is_ours:
            return "Celery, textbook"
        guards = ", without crash points, journal and liveness monitor" if self.is_bare else ""
        return f"Postroom, {self.workers} worker(s){guards}"


TRIALS = (
    SmtpTrial(latency_ms=0, workers=1, messages=12_000),
    SmtpTrial(latency_ms=0, workers=1, messages=12_000, is_bare=True),
    SmtpTrial(latency_ms=0, workers=2, messages=12_000),
    SmtpTrial(latency_ms=0, workers=1, messages=600, is_ours=False),
    SmtpTrial(latency_ms=50, workers=1, messages=10_000),
    SmtpTrial(latency_ms=50, workers=2, messages=16_000),
    SmtpTrial(latency_ms=50, workers=1, messages=300, is_ours=False),
)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="check that everything runs; the figures mean nothing")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to measure (default: 3)")
    options = parser.parse_args()
    share, rounds = (0.5, 1) if options.short else (1.0, options.rounds)
    population = populate()
    with open_servers() as servers:
        results = [
            (trial, run_trial(servers, population, trial, Workload(round_, 1, int(trial.messages * share))))
            for round_ in range(1, rounds + 1)
            for trial in TRIALS
        ]
    save("smtp", ".json", json.dumps([{**asdict(trial), **asdict(run)} for trial, run in results], indent=1))
    print(describe(results))
    if any(run.fault for _, run in results):
        sys.exit("Some runs were not right and do not count.")


def run_trial(servers: BenchmarkServers, population: Population, trial: SmtpTrial, case: Workload) -> DrainRun:
    """Measure how the lane sends what is queued."""
    port = free_port()
    with _sink(port, trial.latency_ms) as received:
        contender = Mailing(servers, trial, port) if trial.is_ours else _peer(servers, port)
        servers.broker.flushall()
        contender.seed(population)
        orders = population.orders(_WARM_UP + case.messages, case.recipients, seed=case.round)
        run = _drain(servers, contender, population, orders, case)
    contenders.drop(servers, contender)
    wanted = [order.account_ids[0] for order in orders if order.account_ids[0] not in population.closed_ids]
    is_exact = (received.mails, received.recipients) == (len(wanted), len(set(wanted)))
    fault = run.fault or (None if is_exact else f"mails: {received.mails} of {len(wanted)}")
    tell(f"relay {trial.latency_ms:2} ms  {trial.name:20}  {run.messages_per_s:7.1f} mails/s  {fault or 'verified'}")
    return DrainRun(**{**asdict(run), "fault": fault})


def _drain(
    servers: BenchmarkServers,
    contender: Mailing | Peer,
    population: Population,
    orders: Sequence[Order],
    case: Workload,
) -> DrainRun:
    warm_up, orders = orders[: -case.messages], orders[-case.messages :]
    contender.take_in([*warm_up, *orders])
    for some, name in ((warm_up, "warm_up"), (orders, "parked")):
        contender.hand_over(some)
        servers.broker.rename(contender.list_name, name)
    contenders.analyze(contender)
    servers.broker.rename("warm_up", contender.list_name)
    with working(contender) as processes:
        await_open(servers, contender, len(orders))
        monitor = ResourceMonitor(servers, processes)
        servers.broker.rename("parked", contender.list_name)
        await_open(servers, contender, 0, sample=lambda: monitor.memory.sample(processes))
        monitor.stop()
    verdict = contenders.verify(contender, population, [*warm_up, *orders], inbox=False)
    return monitor.conclude(contender, case, verdict)


def _peer(servers: BenchmarkServers, port: int) -> Peer:
    return textbook(servers, channel=str(Channel.EMAIL), smtp_port=port)


@contextmanager
def _sink(port: int, latency_ms: int) -> Iterator[MailCount]:
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        count = Path(folder) / "count.json"
        arguments = ("--port", str(port), "--latency-ms", str(latency_ms), "--tell", str(count))
        received = MailCount()
        with running(module("benchmarks.smtp_sink", *arguments), lambda: is_listening(port)):
            yield received
        received.mails, received.recipients = json.loads(count.read_text(encoding="utf-8")).values()


def describe(results: Sequence[tuple[SmtpTrial, DrainRun]]) -> str:
    """Write a table of medians."""
    head = "| relay takes | sender | mails/s | share of c = 32 a worker | CPU s for 10,000 mails | CPU of others |"
    rows = [head, "|---|---|---|---|---|---|"]
    for trial in TRIALS:
        runs = [run for each, run in results if each == trial and run.fault is None]
        rate = [run.messages_per_s for run in runs]
        limit = trial.workers * _CONCURRENCY / (trial.latency_ms / 1000) if trial.latency_ms and trial.is_ours else 0
        share = spread([each / limit for each in rate], ".0%") if limit else "-"
        cost = [run.cpu_s_per_10k for run in runs]
        cells = [f"{trial.latency_ms} ms", trial.name, spread(rate, ",.0f"), share, spread(cost, ".1f")]
        rows.append(f"| {' | '.join([*cells, spread([run.others_cpu_share for run in runs], '.0%')])} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
