"""`make bench`: Postroom beside textbook Celery, tuned Celery, Dramatiq, Huey and a hand-written loop, in rounds.

Everything is accepted before the clock starts; the inbox is the channel. Each contender has tables of its own on one
durable PostgreSQL, the same accounts and the same recipients. A run whose results are not right to the last row does
not count. SHORT=1 takes under three minutes and shows that all of it runs and verifies; its figures mean nothing.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.chart import draw
from benchmarks.contenders import Contender
from benchmarks.drain_report import describe
from benchmarks.drain_run import DrainRun, Workload, drain
from benchmarks.peer_contenders import PEERS
from benchmarks.population import Population, populate
from benchmarks.postroom import Postroom
from benchmarks.processes import ROOT, BenchmarkServers, open_servers

_FOLDER = ROOT / "var" / "bench"
# So many messages that a run takes about ten seconds; what is compared are rates. By recipients a message.
_SIZES: Mapping[str, Mapping[int, int]] = {
    "Postroom, 1 worker": {25: 8_000, 1: 40_000},
    "Postroom, 2 workers": {25: 12_000, 1: 60_000},
    "Celery, textbook": {25: 60, 1: 600},
    "Celery, tuned": {25: 120, 1: 1_500},
    "Dramatiq": {25: 160, 1: 2_000},
    "Huey": {25: 240, 1: 3_000},
    "floor": {25: 16_000, 1: 80_000},
}
_RECIPIENTS = (25, 1)


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """How many rounds, and which part of the messages above."""

    rounds: int
    share: float


LONG = DrainPlan(rounds=5, share=1.0)
SHORT = DrainPlan(rounds=1, share=0.1)


def main() -> None:
    """Measure, print a table, and write numbers and chart down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="does it run and verify? under three minutes")
    parser.add_argument("--rounds", type=int, help="how many rounds, if not 5")
    asked = parser.parse_args()
    plan = SHORT if asked.short else DrainPlan(asked.rounds or LONG.rounds, LONG.share)
    population = populate()
    with open_servers() as servers:
        facts = {"machine": platform.machine(), "processors": str(psutil.cpu_count()), **servers.facts}
        tell(", ".join(f"{name} {value}" for name, value in facts.items()))
        runs = list(_all(servers, population, plan))
    report(runs, {"facts": facts, "plan": asdict(plan)})
    if any(run.fault for run in runs):
        sys.exit("Some runs were not right and do not count; see above.")


def _all(servers: BenchmarkServers, population: Population, plan: DrainPlan) -> Iterator[DrainRun]:
    field: list[Contender] = [Postroom(servers, 1), Postroom(servers, 2), *(make(servers) for make in PEERS)]
    for contender in field:
        contender.seed(population)
    for round_ in range(1, plan.rounds + 1):
        for recipients in _RECIPIENTS:
            # Who is first changes from round to round.
            for contender in (*field[round_ % len(field) :], *field[: round_ % len(field)]):
                messages = max(4, int(_SIZES[contender.name][recipients] * plan.share))
                run = drain(servers, contender, population, Workload(round_, recipients, messages))
                tell(_line(run))
                yield run


def _line(run: DrainRun) -> str:
    return (
        f"round {run.round}  {run.contender:20} {run.recipients:2} recipients  {run.recipients_per_s:9,.0f} a second"
        f"  in {run.seconds:5.1f} s  CPU {run.cpu_s_per_10k:7.2f} s/10k  {run.all_workers_mib:4.0f} MiB"
        f"  others {run.others_cpu_share:4.0%}  {run.fault or 'verified'}"
    )


def report(runs: Sequence[DrainRun], told: Mapping[str, object]) -> None:
    """Print the table and keep numbers, table and chart in `var/bench`."""
    table = describe(runs)
    print(table)
    save("drain", ".json", json.dumps({**told, "runs": [asdict(run) for run in runs]}, indent=1))
    save("drain", ".md", table)
    save("drain", ".svg", draw(runs))


def save(name: str, ending: str, text: str, *, folder: Path = _FOLDER) -> None:
    """Write a file of this moment."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}{ending}"
    path.write_text(text + "\n", encoding="utf-8")
    tell(f"written to {path}")


def tell(line: str) -> None:
    """Say how it goes."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
