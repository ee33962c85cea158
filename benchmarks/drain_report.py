"""The table of the drain: medians with their spread, and the ratios of the runs of one round."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.drain_run import DrainRun

REFERENCE = "Celery, textbook"
FLOOR = "floor"
_HEAD = (
    "| contender | recipients/s | messages/s | times textbook Celery | share of the floor | CPU s for 10,000 recipients"
    " (of it workers) | largest worker / all, MiB | CPU of others |\n|---|---|---|---|---|---|---|---|"
)


def describe(runs: Sequence[DrainRun]) -> str:
    """Write a table for each number of recipients. A median is followed by the least and the most of all rounds."""
    counted = [run for run in runs if run.fault is None]
    sizes = sorted({run.recipients for run in runs}, reverse=True)
    tables = [_table(size, [run for run in counted if run.recipients == size]) for size in sizes]
    faults = [f"Not counted: {run.contender}, round {run.round}: {run.fault}." for run in runs if run.fault]
    return "\n\n".join([*tables, *faults])


def rates(runs: Iterable[DrainRun], contender: str) -> dict[int, float]:
    """Return a contender's recipients/s by round."""
    return {run.round: run.recipients_per_s for run in runs if run.contender == contender}


def _table(recipients: int, runs: Sequence[DrainRun]) -> str:
    names = list(dict.fromkeys(run.contender for run in runs))
    ranked = sorted(names, key=lambda name: -statistics.median(rates(runs, name).values()))
    title = f"### {recipients} recipient{'s' if recipients > 1 else ''} a message"
    return "\n".join([title, "", _HEAD, *(_row(name, runs) for name in ranked)])


def _row(name: str, runs: Sequence[DrainRun]) -> str:
    mine = [run for run in runs if run.contender == name]
    cells = [
        name,
        spread([run.recipients_per_s for run in mine], ",.0f"),
        spread([run.messages_per_s for run in mine], ",.0f"),
        spread(ratios(runs, name, REFERENCE), ",.1f"),
        spread(ratios(runs, name, FLOOR), ".0%"),
        _cost(mine),
        f"{max(run.largest_worker_mib for run in mine):.0f} / {max(run.all_workers_mib for run in mine):.0f}",
        spread([run.others_cpu_share for run in mine], ".0%"),
    ]
    return f"| {' | '.join(cells)} |"


def _cost(runs: Sequence[DrainRun]) -> str:
    whole, workers = ([getattr(run, name) for run in runs] for name in ("cpu_s_per_10k", "worker_cpu_s_per_10k"))
    return f"{statistics.median(whole):.2f} ({statistics.median(workers):.2f})"


def ratios(runs: Sequence[DrainRun], name: str, other: str) -> list[float]:
    """Compare two contenders within each round that both have a counted run in."""
    mine, theirs = rates(runs, name), rates(runs, other)
    return [mine[round_] / theirs[round_] for round_ in sorted(mine.keys() & theirs.keys())]


def spread(values: Sequence[float], form: str) -> str:
    """Write a median with the least and the most. A dash means that nothing was measured."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
