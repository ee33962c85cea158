"""The measurements of `make bench-latency`, and their table: medians with their spread, ratios within a round."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.drain_report import REFERENCE, spread


@dataclass(frozen=True, slots=True)
class LatencyMeasurement:
    """One trial of one contender. `cpu_us` is the processor time of a message, by kind of program."""

    round: int
    contender: str
    trial: str
    recipients: int
    messages: int
    messages_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: Mapping[str, int]
    others_cpu_share: float
    fault: str | None

    @property
    def kind(self) -> tuple[str, str, int]:
        """What it has in common with the runs of other rounds."""
        return self.trial, self.contender, self.recipients


def describe(runs: Sequence[LatencyMeasurement]) -> str:
    """Write the table. A median is followed by the least and the most of all rounds."""
    counted = [run for run in runs if run.fault is None]
    programs = list(runs[0].cpu_us)
    columns = ("trial", "contender", "recipients", "messages/s", "times textbook Celery", "p50, ms", "p99, ms")
    head = f"| {' | '.join([*columns, *programs, 'all', 'CPU of others'])} |"
    rule = "|---" * (len(columns) + len(programs) + 2) + "|"
    rows = [_row(kind, counted, programs) for kind in dict.fromkeys(run.kind for run in counted)]
    return "\n".join(["Processor time in microseconds a message.", "", head, rule, *rows])


def _row(kind: tuple[str, str, int], counted: Sequence[LatencyMeasurement], programs: Sequence[str]) -> str:
    runs = [run for run in counted if run.kind == kind]
    trial, contender, recipients = kind
    cells = [
        trial,
        contender,
        str(recipients),
        spread([run.messages_per_s for run in runs], ",.0f"),
        spread(_ratios(runs, counted), ".0f"),
        spread([run.p50_ms for run in runs], ".1f"),
        spread([run.p99_ms for run in runs], ".1f"),
        *(f"{statistics.median(run.cpu_us[each] for run in runs):,.0f}" for each in programs),
        f"{statistics.median(sum(run.cpu_us.values()) for run in runs):,.0f}",
        spread([run.others_cpu_share for run in runs], ".0%"),
    ]
    return f"| {' | '.join(cells)} |"


def _ratios(runs: Sequence[LatencyMeasurement], counted: Sequence[LatencyMeasurement]) -> list[float]:
    """Compare each run with that of the textbook in the same trial and round, where rates were measured."""
    return [
        run.messages_per_s / other.messages_per_s
        for run in runs
        for other in counted
        if (other.round, other.kind) == (run.round, (run.trial, REFERENCE, run.recipients)) and other.messages_per_s
    ]
