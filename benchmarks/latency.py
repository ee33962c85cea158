"""`make bench-latency`: one message from POST to its final status, and how many a second get there through the door.

Ours is the API and one deciding worker as shipped; textbook Celery stands behind the textbook door. Latency is that of
the answer with its verdict for us, and for the textbook, which has no such answer, from the POST to its conclusion.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import psycopg

from benchmarks import contenders
from benchmarks.contenders import Contender, module
from benchmarks.drain import save, tell
from benchmarks.drain_run import working
from benchmarks.latency_report import LatencyMeasurement, describe
from benchmarks.load import Job, Seen
from benchmarks.peer_contenders import Peer, textbook
from benchmarks.population import BODY, Order, Population, populate
from benchmarks.postroom import Postroom
from benchmarks.processes import ROOT, BenchmarkServers, busy_cpu_seconds, cpu_seconds, free_port, open_servers, running
from delivery.credentials import NewCredential, generate_credential
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind

_PATIENCE_S = 120
# With 16 both doors wait for commits more than they work; on two cores 64 keep either busy.
_CONNECTIONS = 64
# So many messages that a run takes ten seconds or more; what is compared are rates. By recipients a message.
_OURS = {25: 10_000, 1: 20_000}
_TEXTBOOK = {25: 120, 1: 1_200}


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender whose database is furnished, the module of its door, and a key that opens it."""

    contender: Postroom | Peer
    door: str
    key: str


@dataclass(frozen=True, slots=True)
class Stand:
    """A contender behind its door, and the programs that take part, by what they are."""

    round: int
    contender: Postroom | Peer
    population: Population
    port: int
    key: str
    programs: Mapping[str, Sequence[psutil.Process]]

    def job(self, recipients: int, **how: float | str) -> Job:
        """Write a job for the load."""
        plain = {"connections": _CONNECTIONS, "body_bytes": 2000, **how}
        account_ids = [str(each) for each in self.population.account_ids]
        return Job(port=self.port, key=self.key, account_ids=account_ids, recipients=recipients, **plain)  # type: ignore[arg-type] # by name

    def cpu_seconds(self) -> dict[str, float]:
        """Say how much processor time its programs have used."""
        return {name: sum(map(cpu_seconds, some)) for name, some in self.programs.items()}


class CpuMonitor:
    """Looks at processors from the beginning of a trial."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._used, self._busy, self._began_at = stand.cpu_seconds(), busy_cpu_seconds(), time.monotonic()

    def conclude(self, messages: int, load_cpu_s: float) -> tuple[dict[str, int], float]:
        """Say what a message cost each program, in microseconds, and which share of the processors others took."""
        used = {name: now - self._used[name] for name, now in self._stand.cpu_seconds().items()}
        used["load"] = load_cpu_s
        ours = sum(used.values())
        seconds = time.monotonic() - self._began_at
        others = max(busy_cpu_seconds() - self._busy - ours, 0.0) / seconds / (psutil.cpu_count() or 1)
        return {name: round(each / messages * 1e6) for name, each in used.items()}, round(others, 3)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="does it run and verify?")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    share, rounds = (0.05, 2) if asked.short else (1.0, asked.rounds)
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
        sys.exit("Some runs were not right and do not count.")


def _enter(contender: Postroom | Peer, door: str, population: Population) -> Entrant:
    """Make a contender's database, with the accounts and a key for its door."""
    contender.seed(population)
    minted = generate_credential(CredentialKind.API_KEY, _settings_of(contender).pepper)
    _enroll(contender, population, minted)
    return Entrant(contender, door, minted.text.get_secret_value())


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
        peak = _through(stand, "through the door", stand.job(recipients, requests=int(messages * share)))
        yield peak
        if is_ours:
            rate = peak.messages_per_s / 2
            job = stand.job(recipients, requests=int(rate * 20 * share) + 5, rate_per_s=rate, prefer="wait=10")
            yield _through(stand, "half of that", job)


@contextmanager
def _stand(servers: BenchmarkServers, entrant: Entrant, population: Population, round_: int) -> Iterator[Stand]:
    """Open a contender's door and let its workers work."""
    contender, port = entrant.contender, free_port()
    told = {**contender.environment, **_settings_environment(contender)}
    with ExitStack() as stack:
        process = stack.enter_context(
            running(module(entrant.door, "--port", str(port)), lambda: _greets(port), environment=told)
        )
        postgres, valkey = servers.programs
        programs = {"door": [process], "PostgreSQL": [postgres], "Valkey": [valkey]}
        programs["workers"] = stack.enter_context(working(contender))
        yield Stand(round_, contender, population, port, entrant.key, programs)


def _settings_of(contender: Postroom | Peer) -> Settings:
    if isinstance(contender, Postroom):
        return contender.settings
    return Postroom(contender.servers, 1, database_url=contender.url).settings


def _settings_environment(contender: Postroom | Peer) -> dict[str, str]:
    """Tell the textbook door what it reads as settings."""
    return (
        {}
        if isinstance(contender, Postroom)
        else Postroom(contender.servers, 1, database_url=contender.url).environment
    )


def _enroll(contender: Postroom | Peer, population: Population, minted: NewCredential) -> None:
    if isinstance(contender, Postroom):
        with transaction(contender.database) as db:
            clients.add_credentials(db, population.client_id, [minted])
        return
    with psycopg.connect(contender.url) as db:
        values = (minted.prefix, population.client_id, minted.digest)
        db.execute("INSERT INTO credential (prefix, client_id, digest) VALUES (%s, %s, %s)", values)


def _through(stand: Stand, trial: str, job: Job) -> LatencyMeasurement:
    """Send a job through the door and wait until everything is settled."""
    contenders.empty(stand.contender)
    watch, began_at = CpuMonitor(stand), time.time()
    seen = _load(job)
    _await_settled(stand.contender)
    cpu_us, others = watch.conclude(job.requests, seen.cpu_seconds)
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


def _load(job: Job) -> Seen:
    command = module("benchmarks.load")
    done = subprocess.run(command, input=json.dumps(asdict(job)), cwd=ROOT, capture_output=True, text=True, check=True)
    return Seen(**json.loads(done.stdout))


def _fault(stand: Stand, job: Job, seen: Seen) -> str | None:
    """Say what is wrong with what was answered and stored, if anything."""
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
    """Send one message after the other, each when the one before is settled, and ask the rows how long each took."""
    took: list[float] = []
    clock = threading.Event()
    messages = max(messages, 5)
    contenders.empty(stand.contender)
    watch = CpuMonitor(stand)
    for _ in range(messages):
        began_at = time.time()
        _post(stand)
        while contenders.count_open(stand.contender):
            clock.wait(0.01)
        took.append((contenders.finished_at(stand.contender) - began_at) * 1000)
    cpu = watch.conclude(messages, 0.0)
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


def _greets(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5):
            return True
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    main()
