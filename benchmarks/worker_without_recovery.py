"""A worker without its guards: no crash points, no journal, no watch. What a worker costs more than this, they cost.

`python -m benchmarks.worker_without_recovery LANE`, with the settings of the environment.
"""

import sys
from importlib import import_module

from delivery import attempt_journal, crash_points
from delivery.settings import settings_from_environment


class _Absent(attempt_journal.NoJournal):
    """In the place of a journal or a watch: there is none."""

    def __init__(self, *_: object) -> None:
        """Take what the real one takes, and do nothing with it."""

    def start(self) -> None:
        """Watch nothing."""

    def close(self) -> None:
        """End nothing."""


def main() -> None:
    """Serve the lane that the command line names."""
    # Names are bound where modules are imported: what is to be absent has to be gone before that.
    crash_points.crash_here = lambda point: None  # noqa: ARG005 - called as the real one is
    attempt_journal.FileJournal = _Absent  # type: ignore[misc, assignment]
    vars(import_module("worker.runtime.liveness"))["LivenessMonitor"] = _Absent
    process, lanes = import_module("worker.runtime.process"), import_module("tasks.lanes")
    process.run_worker(settings_from_environment(), lanes.LaneName(sys.argv[1]))


if __name__ == "__main__":
    main()
