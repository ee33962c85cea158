"""`make bench-door`: the API beside the same endpoint written the textbook way, in interleaved rounds.

One API process each, PostgreSQL with fsync and synchronous commits, the load from another process over loopback. After
every run what is stored is counted and compared with what was answered. SHORT=1 takes under a minute.
"""

import argparse
import json
import platform
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import psutil

from benchmarks.api_report import describe
from benchmarks.api_servers import ApiServer, ApiServers, open_api_servers
from benchmarks.drain import save, tell
from benchmarks.load import Job, Seen, run_load
from benchmarks.processes import busy_cpu_seconds

_BODY_BYTES = 2000
_CONNECTIONS = (1, 16, 64)
_RECIPIENTS = (1, 25)
_SAMPLE_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class ApiPlan:
    """How long everything takes."""

    rounds: int
    seconds: float
    warm_up_seconds: float
    memory_requests: int
    waiting: int


LONG = ApiPlan(rounds=5, seconds=5.0, warm_up_seconds=2.0, memory_requests=100_000, waiting=2000)
SHORT = ApiPlan(rounds=2, seconds=0.8, warm_up_seconds=0.5, memory_requests=3_000, waiting=2000)


@dataclass(frozen=True, slots=True)
class ApiMeasurement:
    """One run of one API. `…_cpu_us` is processor time for a request: of the API alone, and with its servers.

    The names are keys of files in `var/bench`; "door" is an older word for the API.
    """

    door: str
    round: int
    connections: int
    recipients: int
    requests: int
    seconds: float
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    door_cpu_us: float
    all_cpu_us: float
    load_cpu_share: float
    others_cpu_share: float


def main() -> None:
    """Measure, print a table and save the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="check in under a minute that everything runs")
    plan = SHORT if parser.parse_args().short else LONG
    with open_api_servers() as servers:
        tell(f"{platform.machine()}, {psutil.cpu_count()} processors, PostgreSQL {servers.facts}")
        for api in (servers.ours, servers.textbook):
            _measure(servers, api, 0, _job(api, 16, 25, seconds=plan.warm_up_seconds))
        runs = [run for round_ in range(1, plan.rounds + 1) for run in _round(servers, plan, round_)]
        memory = _watch_memory(servers, plan) | _watch_waiting(servers, plan)
        facts = servers.facts
    tell("")
    print(describe([asdict(run) for run in runs], memory))
    numbers = {"plan": asdict(plan), "facts": facts, "runs": [asdict(run) for run in runs], "memory": memory}
    save("door", ".json", json.dumps(numbers, indent=1))


def _round(servers: ApiServers, plan: ApiPlan, round_: int) -> list[ApiMeasurement]:
    """Measure every case with one API right after the other; which is first changes from round to round."""
    apis = (servers.ours, servers.textbook) if round_ % 2 else (servers.textbook, servers.ours)
    runs = []
    for recipients in _RECIPIENTS:
        for connections in _CONNECTIONS:
            for api in apis:
                job = _job(api, connections, recipients, seconds=plan.seconds)
                runs.append(_measure(servers, api, round_, job))
    return runs


def _measure(servers: ApiServers, api: ApiServer, round_: int, job: Job) -> ApiMeasurement:
    busy, before, api_before = busy_cpu_seconds(), servers.cpu_seconds(), api.cpu_seconds()
    seen = run_load(job)
    used, api_used = servers.cpu_seconds() - before, api.cpu_seconds() - api_before
    others = busy_cpu_seconds() - busy - used - seen.cpu_seconds
    requests = _verify(servers, api, job, seen)
    latencies = sorted(seen.latencies_ms)
    measured = ApiMeasurement(
        door=api.name,
        round=round_,
        connections=job.connections,
        recipients=job.recipients,
        requests=requests,
        seconds=round(seen.seconds, 3),
        requests_per_s=round(requests / seen.seconds, 1),
        p50_ms=statistics.median(latencies),
        p99_ms=latencies[int(len(latencies) * 0.99)],
        door_cpu_us=round(api_used / requests * 1e6),
        all_cpu_us=round(used / requests * 1e6),
        load_cpu_share=round(seen.cpu_seconds / seen.seconds, 3),
        others_cpu_share=round(max(others, 0.0) / seen.seconds / (psutil.cpu_count() or 1), 3),
    )
    tell(_line(measured))
    return measured


def _verify(servers: ApiServers, api: ApiServer, job: Job, seen: Seen) -> int:
    """Return how many requests were answered 201, after checking that exactly these are stored and deleting them."""
    requests = seen.statuses.get("201", 0)
    messages, recipients = api.stored()
    if set(seen.statuses) != {"201"} or (messages, recipients) != (requests, requests * job.recipients):
        raise SystemExit(f"{api.name}: answered {seen.statuses}, stored {messages} messages, {recipients} recipients")
    api.empty()
    servers.broker.flushall()  # No worker receives the bells here.
    return requests


def _watch_memory(servers: ApiServers, plan: ApiPlan) -> dict[str, float]:
    """Measure the memory of our process over a long run, in MiB."""
    api = servers.ours
    memory = {"start": api.memory_mib()}
    for name in ("middle", "end"):
        _measure(servers, api, 0, _job(api, 16, 25, requests=plan.memory_requests // 2))
        memory[name] = api.memory_mib()
        tell(f"memory at the {name}: {memory[name]:.1f} MiB")
    return {"requests": plan.memory_requests, **{name: round(mib, 1) for name, mib in memory.items()}}


def _watch_waiting(servers: ApiServers, plan: ApiPlan) -> dict[str, float]:
    """Measure how much our process grows, in MiB, while many requests wait for verdicts that never come."""
    api = servers.ours
    before, most = api.memory_mib(), [0.0]
    # They come within five seconds, so that it is the waiting that counts and not a rush.
    job = _job(api, plan.waiting, 25, requests=plan.waiting, rate_per_s=plan.waiting / 5, prefer="wait=10")
    with _sampling(lambda: most.append(api.memory_mib())):
        seen = run_load(job)
    _verify(servers, api, job, seen)
    grown = max(most) - before
    waited_ms = min(seen.latencies_ms)
    tell(f"{plan.waiting} waiting requests: {before:.1f} MiB, {grown:.1f} more; the shortest wait {waited_ms:.0f} ms")
    return {"waiting": plan.waiting, "waiting_mib": round(grown, 1), "shortest_wait_ms": round(waited_ms, 1)}


def _job(api: ApiServer, connections: int, recipients: int, **how: float | str) -> Job:
    """Make a job for the load: for so many `seconds` or `requests`, with this `prefer`."""
    return Job(
        port=api.port,
        key=api.key,
        account_ids=api.account_ids,
        connections=connections,
        recipients=recipients,
        body_bytes=_BODY_BYTES,
        **how,  # type: ignore[arg-type] # by name
    )


@contextmanager
def _sampling(sample: Callable[[], None]) -> Iterator[None]:
    """Take a sample every 0.2 s while the block runs."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_SAMPLE_EVERY_S):
            sample()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _line(run: ApiMeasurement) -> str:
    return (
        f"round {run.round}  {run.door:8}  {run.connections:2} connections  {run.recipients:2} recipients  "
        f"{run.requests_per_s:7.1f}/s  p50 {run.p50_ms:7.2f} ms  p99 {run.p99_ms:7.2f} ms  "
        f"CPU {run.door_cpu_us:5.0f} us  others {run.others_cpu_share:4.0%}"
    )


if __name__ == "__main__":
    main()
