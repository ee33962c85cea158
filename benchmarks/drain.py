"""`make bench`: Postroom beside textbook Celery, tuned Celery, Dramatiq, Huey and a hand-written loop, in rounds.

Everything is accepted before the clock starts; the inbox is the channel. Each contender has tables of its own on one
durable PostgreSQL, the same accounts and the same recipients. A run is counted only if its results are right to the
last row. SHORT=1 takes under three minutes and shows that everything runs and verifies; its figures mean nothing.
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
# Messages for a run of about ten seconds, by recipients per message. What is compared are rates.
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
    """How many rounds, and which share of the messages above."""

    rounds: int
    share: float


LONG = DrainPlan(rounds=5, share=1.0)
SHORT = DrainPlan(rounds=1, share=0.1)


def main() -> None:
    """Measure, print a table, and save numbers and chart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short",
        action="store_true",
        help="check in under three minutes that everything runs; the figures mean nothing",
    )
    parser.add_argument("--rounds", type=int, help=f"rounds to measure (default: {LONG.rounds})")
    options = parser.parse_args()
    plan = SHORT if options.short else DrainPlan(options.rounds or LONG.rounds, LONG.share)
    population = populate()
    with open_servers() as servers:
        facts = {"machine": platform.machine(), "processors": str(psutil.cpu_count()), **servers.facts}
        tell(", ".join(f"{name} {value}" for name, value in facts.items()))
        runs = list(_all(servers, population, plan))
    report(runs, {"facts": facts, "plan": asdict(plan)})
    if any(run.fault for run in runs):
        sys.exit("Some runs failed their verification and are not counted; see above.")


def _all(servers: BenchmarkServers, population: Population, plan: DrainPlan) -> Iterator[DrainRun]:
    contenders: list[Contender] = [Postroom(servers, 1), Postroom(servers, 2), *(make(servers) for make in PEERS)]
    for contender in contenders:
        contender.seed(population)
    for round_ in range(1, plan.rounds + 1):
        for recipients in _RECIPIENTS:
            # Which is first changes from round to round.
            for contender in (*contenders[round_ % len(contenders) :], *contenders[: round_ % len(contenders)]):
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


def report(runs: Sequence[DrainRun], facts: Mapping[str, object]) -> None:
    """Print the table and save numbers, table and chart in `var/bench`."""
    table = describe(runs)
    print(table)
    save("drain", ".json", json.dumps({**facts, "runs": [asdict(run) for run in runs]}, indent=1))
    save("drain", ".md", table)
    save("drain", ".svg", draw(runs))


def save(name: str, ending: str, text: str, *, folder: Path = _FOLDER) -> None:
    """Write a file whose name has the present time in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}{ending}"
    path.write_text(text + "\n", encoding="utf-8")
    tell(f"written to {path}")


def tell(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
