"""The report: medians with their spread, and the ratio of both APIs within each round, as a Markdown table."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = (
    "| recipients | connections | ours, requests/s | textbook, requests/s | ratio | ours p50 / p99, ms "
    "| textbook p50 / p99, ms | CPU of the API, us a request: ours, textbook | CPU of others |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
Runs = Sequence[Mapping[str, Any]]


def describe(runs: Runs, memory: Mapping[str, float]) -> str:
    """Write the table, and a line about memory. A median is followed by the least and the most of all rounds."""
    cases = sorted({(run["recipients"], run["connections"]) for run in runs})
    rows = [_row(recipients, connections, runs) for recipients, connections in cases]
    course = ", ".join(f"{name} {memory[name]:.1f} MiB" for name in ("start", "middle", "end"))
    return "\n".join(
        [_HEAD, *rows, "", f"Memory of our API process over {memory['requests']:,.0f} requests: {course}."]
    )


def _row(recipients: int, connections: int, runs: Runs) -> str:
    ours, textbook = (_of(name, recipients, connections, runs) for name in ("ours", "textbook"))
    ratios = [one["requests_per_s"] / other["requests_per_s"] for one, other in zip(ours, textbook, strict=True)]
    cells = [
        str(recipients),
        str(connections),
        _spread([run["requests_per_s"] for run in ours], ".0f"),
        _spread([run["requests_per_s"] for run in textbook], ".0f"),
        _spread(ratios, ".1f"),
        _latencies(ours),
        _latencies(textbook),
        ", ".join(f"{statistics.median(run['door_cpu_us'] for run in runs):,.0f}" for runs in (ours, textbook)),
        _spread([run["others_cpu_share"] for run in (*ours, *textbook)], ".0%"),
    ]
    return f"| {' | '.join(cells)} |"


def _of(api: str, recipients: int, connections: int, runs: Runs) -> Runs:
    case = (api, recipients, connections)
    chosen = [run for run in runs if (run["door"], run["recipients"], run["connections"]) == case]
    return sorted(chosen, key=lambda run: int(run["round"]))


def _latencies(runs: Runs) -> str:
    return " / ".join(f"{statistics.median(run[name] for run in runs):.1f}" for name in ("p50_ms", "p99_ms"))


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
