"""Drain with the code of the current folder, which may be of another commit, and print what it took.

`python -P benchmarks/tree_drain.py SHARE`, in the folder of the tree. A line of JSON for each number of recipients.
"""

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_SIZES = {25: 4_000, 1: 20_000}
_FIGURES = (
    "recipients",
    "recipients_per_s",
    "cpu_s_per_10k",
    "worker_cpu_s_per_10k",
    "all_workers_mib",
    "others_cpu_share",
    "fault",
)
_TODAY = {
    "contender": ("benchmarks.postroom", "Postroom"),
    "seed": "seed",
    "servers": ("benchmarks.processes", "open_servers"),
    "drain": ("benchmarks.drain_run", "drain"),
    "workload": ("benchmarks.drain_run", "Workload"),
}
"""What stands where in the benchmarks of a tree."""

_AT_FIRST = {
    "contender": ("benchmarks.ours", "Ours"),
    "seed": "furnish",
    "servers": ("benchmarks.programs", "open_servers"),
    "drain": ("benchmarks.draining", "drain"),
    "workload": ("benchmarks.draining", "Case"),
}
"""The same in the commits of the first days."""


def main() -> None:
    """Measure and print."""
    sys.path.insert(0, str(Path.cwd()))
    names = _TODAY if find_spec("benchmarks.postroom") else _AT_FIRST
    share = float(sys.argv[1])
    population = import_module("benchmarks.population").populate()
    with _found(names["servers"])() as servers:
        contender = _found(names["contender"])(servers, 1)
        getattr(contender, str(names["seed"]))(population)
        for recipients, messages in _SIZES.items():
            workload = _found(names["workload"])(1, recipients, int(messages * share))
            run = _found(names["drain"])(servers, contender, population, workload)
            print(json.dumps({name: getattr(run, name) for name in _FIGURES}), flush=True)


def _found(place: Any) -> Any:
    module, name = place
    return getattr(import_module(module), name)


if __name__ == "__main__":
    main()
