"""`make bench-latency`: the time of one message from POST to its final status, and messages/s on the same way.

Ours is the API and one deciding worker as shipped; textbook Celery works behind the textbook API. Our latency is that
of the response with its verdict. The textbook has no such response: there it lasts until the message is settled.
"""

import argparse
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from urllib.request import Request, urlopen
from uuid import UUID

import psutil
import psycopg

from benchmarks import contenders
from benchmarks.contenders import Contender, module
from benchmarks.drain import save, tell
from benchmarks.drain_run import working
from benchmarks.latency_report import LatencyMeasurement, describe
from benchmarks.load import Job, Seen, run_load
from benchmarks.peer_contenders import Peer, textbook
from benchmarks.population import BODY, Order, Population, populate
from benchmarks.postroom import Postroom
from benchmarks.processes import BenchmarkServers, busy_cpu_seconds, cpu_seconds, open_servers, running
from delivery.credentials import NewCredential, generate_credential
from delivery.vocabulary import CredentialKind
from tests.support.ports import free_port, is_page_served
from tests.support.seed import add_credential

_PATIENCE_S = 120
# With 16 both APIs wait for commits more than they work; on two cores 64 keep either busy.
_CONNECTIONS = 64
# Messages for a run of ten seconds or more, by recipients per message. What is compared are rates.
_OURS = {25: 10_000, 1: 20_000}
_TEXTBOOK = {25: 120, 1: 1_200}


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender with its seeded database, the module of its API, and a key for it."""

    contender: Postroom | Peer
    api: str
    key: str


@dataclass(frozen=True, slots=True)
class Stand:
    """A contender behind its running API, and all processes that take part, by their kind."""

    round: int
    contender: Postroom | Peer
    population: Population
    port: int
    key: str
    programs: Mapping[str, Sequence[psutil.Process]]

    def job(self, recipients: int, **how: float | str) -> Job:
        """Make a job for the load."""
        plain = {"connections": _CONNECTIONS, "body_bytes": 2000, **how}
        account_ids = [str(each) for each in self.population.account_ids]
        return Job(port=self.port, key=self.key, account_ids=account_ids, recipients=recipients, **plain)  # type: ignore[arg-type] # by name

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that its programs have used."""
        return {name: sum(map(cpu_seconds, some)) for name, some in self.programs.items()}


class CpuMonitor:
    """Measures processor time from the beginning of a trial."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._used, self._busy, self._began_at = stand.cpu_seconds(), busy_cpu_seconds(), time.monotonic()

    def conclude(self, messages: int, load_cpu_s: float) -> tuple[dict[str, int], float]:
        """Return the processor time of a message by kind of program, in us, and the share that other programs took."""
        used = {name: now - self._used[name] for name, now in self._stand.cpu_seconds().items()}
        used["load"] = load_cpu_s
        ours = sum(used.values())
        seconds = time.monotonic() - self._began_at
        others = max(busy_cpu_seconds() - self._busy - ours, 0.0) / seconds / (psutil.cpu_count() or 1)
        return {name: round(each / messages * 1e6) for name, each in used.items()}, round(others, 3)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="check that everything runs; the figures mean nothing")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to measure (default: 3)")
    options = parser.parse_args()
    share, rounds = (0.05, 2) if options.short else (1.0, options.rounds)
    population = populate()
    runs: list[LatencyMeasurement] = []
    with open_servers() as servers:
        entrants = [
            _enter(Postroom(servers, 1), "api_stub", population),
            _enter(textbook(servers), "benchmarks.textbook_api", population),
        ]
        for round_ in range(1, rounds + 1):
            for measured in _round(servers, entrants, population, round_, share):
                tell(f"{measured.contender:20} {measured.trial:24} {asdict(measured)}")
                runs.append(measured)
    save("latency", ".json", json.dumps([asdict(run) for run in runs], indent=1))
    print(describe(runs))
    if any(run.fault for run in runs):
        sys.exit("Some runs failed their verification and are not counted.")


def _enter(contender: Postroom | Peer, api: str, population: Population) -> Entrant:
    """Make a contender's database, with the accounts and a key for its API."""
    contender.seed(population)
    credential = _add_key(contender, population.client_id)
    return Entrant(contender, api, credential.text.get_secret_value())


def _round(
    servers: BenchmarkServers, entrants: Sequence[Entrant], population: Population, round_: int, share: float
) -> Iterator[LatencyMeasurement]:
    for entrant in entrants:
        with _stand(servers, entrant, population, round_) as stand:
            yield from _trials(stand, share)


def _trials(stand: Stand, share: float) -> Iterator[LatencyMeasurement]:
    is_ours = isinstance(stand.contender, Postroom)
    _through(stand, "warm-up", stand.job(25, requests=60))
    if is_ours:
        yield _through(stand, "idle", stand.job(25, requests=int(1000 * share), prefer="wait=10", connections=1))
    else:
        yield _one_by_one(stand, int(100 * share))
    for recipients, messages in (_OURS if is_ours else _TEXTBOOK).items():
        peak = _through(stand, "through the API", stand.job(recipients, requests=int(messages * share)))
        yield peak
        if is_ours:
            rate = peak.messages_per_s / 2
            job = stand.job(recipients, requests=int(rate * 20 * share) + 5, rate_per_s=rate, prefer="wait=10")
            yield _through(stand, "half of that", job)


@contextmanager
def _stand(servers: BenchmarkServers, entrant: Entrant, population: Population, round_: int) -> Iterator[Stand]:
    """Run a contender's API and workers."""
    contender, port = entrant.contender, free_port()
    environment = {**contender.environment, **_postroom(contender).environment}
    command = module(entrant.api, "--port", str(port))
    with ExitStack() as stack:
        process = stack.enter_context(
            running(command, lambda: is_page_served(port, "/openapi.json"), environment=environment)
        )
        postgres, valkey = servers.programs
        programs = {"API": [process], "PostgreSQL": [postgres], "Valkey": [valkey]}
        programs["workers"] = stack.enter_context(working(contender))
        yield Stand(round_, contender, population, port, entrant.key, programs)


def _postroom(contender: Postroom | Peer) -> Postroom:
    """Return the contender, or for a peer a Postroom on its database: the textbook API reads the same settings."""
    if isinstance(contender, Postroom):
        return contender
    return Postroom(contender.servers, 1, database_url=contender.url)


def _add_key(contender: Postroom | Peer, client_id: UUID) -> NewCredential:
    pepper = _postroom(contender).settings.pepper
    if isinstance(contender, Postroom):
        return add_credential(contender.database, client_id, pepper)
    credential = generate_credential(CredentialKind.API_KEY, pepper)
    with psycopg.connect(contender.url) as db:
        values = (credential.prefix, client_id, credential.digest)
        db.execute("INSERT INTO credential (prefix, client_id, digest) VALUES (%s, %s, %s)", values)
    return credential


def _through(stand: Stand, trial: str, job: Job) -> LatencyMeasurement:
    """Send a job to the API and wait until everything is settled."""
    contenders.empty(stand.contender)
    monitor, began_at = CpuMonitor(stand), time.time()
    seen = run_load(job)
    _await_settled(stand.contender)
    cpu_us, others = monitor.conclude(job.requests, seen.cpu_seconds)
    finished_at = contenders.finished_at(stand.contender)
    latencies = sorted(seen.latencies_ms)
    return LatencyMeasurement(
        round=stand.round,
        contender=stand.contender.name,
        trial=trial,
        recipients=job.recipients,
        messages=job.requests,
        messages_per_s=round(job.requests / (finished_at - began_at), 1),
        p50_ms=round(statistics.median(latencies), 2),
        p99_ms=round(latencies[int(len(latencies) * 0.99)], 2),
        cpu_us=cpu_us,
        others_cpu_share=others,
        fault=_fault(stand, job, seen),
    )


def _fault(stand: Stand, job: Job, seen: Seen) -> str | None:
    """Return what is wrong with what was answered and stored, if anything."""
    if seen.statuses != {"201": job.requests}:
        return f"answered {seen.statuses}"
    anonymous = [Order(stand.population.account_ids[: job.recipients])] * job.requests
    return contenders.verify(stand.contender, stand.population, anonymous).fault


def _await_settled(contender: Contender) -> None:
    clock = threading.Event()
    ends_at = time.monotonic() + _PATIENCE_S
    while contenders.count_open(contender):
        if time.monotonic() > ends_at:
            raise TimeoutError(f"{contender.name} did not settle its messages")
        clock.wait(0.1)


def _one_by_one(stand: Stand, messages: int) -> LatencyMeasurement:
    """Send each message when the one before is settled, and read from the rows how long each took."""
    took: list[float] = []
    clock = threading.Event()
    messages = max(messages, 5)
    contenders.empty(stand.contender)
    monitor = CpuMonitor(stand)
    for _ in range(messages):
        began_at = time.time()
        _post(stand)
        while contenders.count_open(stand.contender):
            clock.wait(0.01)
        took.append((contenders.finished_at(stand.contender) - began_at) * 1000)
    cpu = monitor.conclude(messages, 0.0)
    return LatencyMeasurement(
        stand.round, stand.contender.name, "idle", 25, messages, 0.0, statistics.median(took), max(took), *cpu, None
    )


def _post(stand: Stand) -> None:
    message = {
        "recipient_uuids": [str(each) for each in random.sample(stand.population.account_ids, 25)],
        "sender_name": "Ada Lovelace",
        "subject": "A translation",
        "body": BODY,
        "type": "job",
    }
    headers = {"X-Proz-API-Key": stand.key, "Content-Type": "application/json"}
    request = Request(f"http://127.0.0.1:{stand.port}/messages", json.dumps(message).encode(), headers)
    urlopen(request, timeout=30).close()  # noqa: S310 - our own address on loopback


if __name__ == "__main__":
    main()
