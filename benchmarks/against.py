"""`make bench-against REF=COMMIT`: the drain of this tree and of another commit in turns, with one worker each.

Ratios are those of one round, in which the machine was about the same. CPU seconds say more than rates where others use
the machine too. The other commit runs with the libraries of this tree.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks.drain import save, tell
from benchmarks.drain_report import spread
from benchmarks.processes import ROOT

_ROUNDS = 3
_SHORT = 0.05
_HEAD = (
    "| recipients | recipients/s, this tree | the other | times as many | CPU s for 10,000, this tree | the other"
    " | times as much (of it workers) | MiB, this tree | the other | CPU of others |"
    "\n|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class TreeRun:
    """One measured run of a tree. CPU is that of the worker and both servers."""

    round: int
    is_ours: bool
    recipients: int
    recipients_per_s: float
    cpu_s_per_10k: float
    worker_cpu_s_per_10k: float
    all_workers_mib: float
    others_cpu_share: float
    fault: str | None = None


def main() -> None:
    """Measure, print a table, and save it with the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ref", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"rounds to measure (default: {_ROUNDS})")
    parser.add_argument("--short", action="store_true", help="check that everything runs; the figures mean nothing")
    options = parser.parse_args()
    with _other_tree(options.ref) as other:
        runs = list(_all(other, options.rounds, _SHORT if options.short else 1.0))
    table = describe(runs)
    print(table)
    save("against", ".json", json.dumps({"ref": options.ref, "runs": [asdict(run) for run in runs]}, indent=1))
    save("against", ".md", table)
    if any(run.fault for run in runs):
        sys.exit("Some runs failed their verification and are not counted.")


@contextmanager
def _other_tree(ref: str) -> Iterator[Path]:
    command = [shutil.which("git") or "git", "archive", "--format=zip", ref]
    archive = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory(prefix="postroom-against-") as folder, zipfile.ZipFile(BytesIO(archive)) as packed:
        packed.extractall(folder)
        yield Path(folder)


def _all(other: Path, rounds: int, share: float) -> Iterator[TreeRun]:
    for round_ in range(1, rounds + 1):
        for tree in (ROOT, other) if round_ % 2 else (other, ROOT):
            for figures in _figures(tree, share):
                run = TreeRun(round=round_, is_ours=tree == ROOT, **figures)
                tell(f"{run}")
                yield run


def _figures(tree: Path, share: float) -> Iterator[dict[str, Any]]:
    program = str(ROOT / "benchmarks" / "tree_drain.py")
    command = [sys.executable, "-P", program, str(share)]
    done = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True)
    return (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))


def describe(runs: Sequence[TreeRun]) -> str:
    """Return a row for each number of recipients. A median is followed by the least and the most of all rounds."""
    counted = [run for run in runs if run.fault is None]
    sizes = sorted({run.recipients for run in counted}, reverse=True)
    return "\n".join([_HEAD, *(_row([run for run in counted if run.recipients == size]) for size in sizes)])


def _row(runs: Sequence[TreeRun]) -> str:
    ours, theirs = ([run for run in runs if run.is_ours is is_ours] for is_ours in (True, False))
    cpu, workers = (spread(ratios(runs, name), ".2f") for name in ("cpu_s_per_10k", "worker_cpu_s_per_10k"))
    cells = [
        str(runs[0].recipients),
        *(spread([run.recipients_per_s for run in some], ",.0f") for some in (ours, theirs)),
        spread(ratios(runs, "recipients_per_s"), ".2f"),
        *(spread([run.cpu_s_per_10k for run in some], ".2f") for some in (ours, theirs)),
        f"{cpu} ({workers})",
        *(f"{max((run.all_workers_mib for run in some), default=0):.0f}" for some in (ours, theirs)),
        spread([run.others_cpu_share for run in runs], ".0%"),
    ]
    return f"| {' | '.join(cells)} |"


def ratios(runs: Sequence[TreeRun], figure: str) -> list[float]:
    """Return this tree's figure as a share of the other's, for each round that both have a run in."""
    ours, theirs = (
        {run.round: float(getattr(run, figure)) for run in runs if run.is_ours is is_ours} for is_ours in (True, False)
    )
    return [ours[each] / theirs[each] for each in sorted(ours.keys() & theirs.keys())]


if __name__ == "__main__":
    main()
