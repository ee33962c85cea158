"""`make bench-growth`: the drain with a long backlog, an old database, many clients, more workers.

Every trial differs from one base in one thing. Each round runs the base first and last, and compares with the mean of
both. A run is counted only if its results are right to the last row. SHORT=1 takes under a minute and shows that
everything runs and verifies; its figures mean nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median
from uuid import UUID

import psycopg
from uuid_utils.compat import uuid7

from benchmarks.drain import save, tell
from benchmarks.drain_report import spread
from benchmarks.drain_run import DrainRun, Workload, drain
from benchmarks.old_rows import RECIPIENTS, fill
from benchmarks.population import Population, populate
from benchmarks.postroom import Postroom
from benchmarks.processes import BenchmarkServers, open_servers

_CLIENTS = 10_000
_CLIENTS_TOO = """
    INSERT INTO client (id, name, scopes)
    SELECT other.id, client.name, client.scopes FROM client, unnest(%s::uuid[]) AS other (id) WHERE client.id = %s
"""
_HEAD = (
    "| trial | recipients/s | of the base | CPU s for 10,000 recipients | of the base"
    " | largest worker, MiB: first, middle, end | CPU of others |\n|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class GrowthTrial:
    """What the database and the workers have to do. The defaults are the base that every other trial differs from."""

    name: str
    messages: int
    recipients: int = RECIPIENTS
    clients: int = 1
    workers: int = 1
    is_old: bool = False
    is_bare: bool = False


BASE = GrowthTrial("base: a backlog of 150,000 recipients, 25 a message, 1 client, 1 worker, an empty database", 6_000)
TRIALS = (
    BASE,
    GrowthTrial("a backlog of 1,000,000 recipients", 40_000),
    GrowthTrial("a database with 10,000,000 old recipients", 6_000, is_old=True),
    GrowthTrial("100 clients", 6_000, clients=100),
    GrowthTrial("10,000 clients", 10_000, clients=_CLIENTS),
    GrowthTrial("1 recipient a message", 30_000, recipients=1),
    GrowthTrial("5 recipients a message", 15_000, recipients=5),
    GrowthTrial("2 workers", 10_000, workers=2),
    GrowthTrial("4 workers", 10_000, workers=4),
    GrowthTrial("a worker without crash points, journal and liveness monitor", 6_000, is_bare=True),
    BASE,
)


@dataclass(frozen=True, slots=True)
class GrowthPlan:
    """How many rounds, which share of the messages above, and how many old messages."""

    rounds: int
    share: float
    old_messages: int


LONG = GrowthPlan(rounds=3, share=1.0, old_messages=10_000_000 // RECIPIENTS)
SHORT = GrowthPlan(rounds=1, share=0.02, old_messages=4_000)


class Grown(Postroom):
    """Postroom as a trial needs it. Trials share a database, but for the one with old rows, which has its own."""

    def __init__(self, servers: BenchmarkServers, trial: GrowthTrial, client_ids: Sequence[UUID]) -> None:
        super().__init__(servers, trial.workers)
        self.is_bare = trial.is_bare
        self._database = "grown_old" if trial.is_old else "grown"
        self._all_client_ids = client_ids
        self.client_ids = client_ids[: trial.clients]

    def seed(self, population: Population) -> None:  # type: ignore[override] # the inbox alone is measured
        """Make the tables, the accounts, and every client of every trial."""
        chosen = self.client_ids
        super().seed(population)
        self.client_ids = chosen
        with psycopg.connect(self.url) as db:
            db.execute(_CLIENTS_TOO, (list(self._all_client_ids[1:]), population.client_id))


Results = Sequence[tuple[GrowthTrial, DrainRun]]


def main() -> None:
    """Measure, print a table, and save numbers and table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="check in under a minute that everything runs; the figures mean nothing"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds to measure (default: {LONG.rounds})")
    options = parser.parse_args()
    plan = SHORT if options.short else replace(LONG, rounds=options.rounds or LONG.rounds)
    with open_servers() as servers:
        facts = servers.facts
        results = list(_all(servers, populate(), plan))
    table = describe(results)
    print(table)
    runs = [{**asdict(trial), **asdict(run)} for trial, run in results]
    save("growth", ".json", json.dumps({"facts": facts, "plan": asdict(plan), "runs": runs}, indent=1))
    save("growth", ".md", table)
    if any(run.fault for _, run in results):
        sys.exit("Some runs failed their verification and are not counted; see above.")


def _all(servers: BenchmarkServers, population: Population, plan: GrowthPlan) -> Iterator[tuple[GrowthTrial, DrainRun]]:
    client_ids = [population.client_id, *(uuid7() for _ in range(_CLIENTS - 1))]
    contenders = {trial: Grown(servers, trial, client_ids) for trial in TRIALS}
    for is_old in (False, True):
        first = next(each for trial, each in contenders.items() if trial.is_old == is_old)
        first.seed(population)
        if is_old:
            fill(first.url, population, plan.old_messages, tell=tell)
    for round_ in range(1, plan.rounds + 1):
        for trial in TRIALS:
            messages = max(4, int(trial.messages * plan.share))
            case = Workload(round_, trial.recipients, messages, is_fresh=not trial.is_old)
            run = drain(servers, contenders[trial], population, case)
            tell(_line(trial, run))
            yield trial, run


def _line(trial: GrowthTrial, run: DrainRun) -> str:
    return (
        f"round {run.round}  {trial.name[:40]:40} {run.recipients_per_s:9,.0f} a second in {run.seconds:5.1f} s"
        f"  CPU {run.cpu_s_per_10k:5.2f} s/10k  others {run.others_cpu_share:4.0%}  {run.fault or 'verified'}"
    )


def describe(results: Results) -> str:
    """Write the table. A median is followed by the least and the most of all rounds."""
    counted = [(trial, run) for trial, run in results if run.fault is None]
    rows = [_row(trial, counted) for trial in dict.fromkeys(trial for trial, _ in counted)]
    faults = [f"Not counted: {trial.name}, round {run.round}: {run.fault}." for trial, run in results if run.fault]
    return "\n".join([_HEAD, *rows, *(["", *faults] if faults else [])])


def _row(trial: GrowthTrial, results: Results) -> str:
    runs = [run for each, run in results if each == trial]
    cells = [
        trial.name,
        spread([run.recipients_per_s for run in runs], ",.0f"),
        "" if trial == BASE else spread(_ratios(trial, results, "recipients_per_s"), ".0%"),
        spread([run.cpu_s_per_10k for run in runs], ".2f"),
        "" if trial == BASE else spread(_ratios(trial, results, "cpu_s_per_10k"), ".0%"),
        _course(runs),
        spread([run.others_cpu_share for run in runs], ".0%"),
    ]
    return f"| {' | '.join(cells)} |"


def _course(runs: Sequence[DrainRun]) -> str:
    courses = [run.course_mib for run in runs if run.course_mib]
    stages = [(course[0], course[len(course) // 2], course[-1]) for course in courses]
    return ", ".join(f"{median(stage):.0f}" for stage in zip(*stages, strict=True)) or "-"


def _ratios(trial: GrowthTrial, results: Results, name: str) -> list[float]:
    """Compare a trial with the base of the same round, in each round that has both."""
    bases: dict[int, list[float]] = {}
    for each, run in results:
        if each == BASE:
            bases.setdefault(run.round, []).append(getattr(run, name))
    return [
        getattr(run, name) / fmean(bases[run.round]) for each, run in results if each == trial and run.round in bases
    ]


if __name__ == "__main__":
    main()
