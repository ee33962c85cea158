"""A worker without crash points, journal and liveness monitor. What a worker costs more than this, they cost.

`python -m benchmarks.worker_without_recovery LANE`, with the settings of the environment.
"""

import math
import sys
from importlib import import_module

from delivery import attempt_journal, crash_points
from delivery.settings import settings_from_environment


class _Absent(attempt_journal.NoJournal):
    """A journal or a liveness monitor that does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        """Accept the arguments of the real one."""

    def watch(self, _: object) -> None:
        """Do nothing."""

    def start(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def main() -> None:
    """Serve the lane that the command line names."""
    # Modules bind these names when they are imported, so they are replaced before that.
    crash_points.crash_here = lambda point: None  # noqa: ARG005 - called as the real one is
    attempt_journal.FileJournal = _Absent  # type: ignore[misc, assignment]
    vars(import_module("worker.runtime.liveness"))["LivenessMonitor"] = _Absent
    # Without the monitor nothing confirms that the worker is alive; it sends mails all the same.
    vars(import_module("delivery.life_sign"))["CONFIRMED_WITHIN_S"] = math.inf
    process, lanes = import_module("worker.runtime.process"), import_module("tasks.lanes")
    process.run_worker(settings_from_environment(), lanes.LaneName(sys.argv[1]))


if __name__ == "__main__":
    main()
