"""Where a trial arms its crash points."""

from typing import cast

import pytest

from chaos.cluster import OURS, processes_of
from delivery.crash_points import CrashPoint


@pytest.mark.parametrize("point", CrashPoint)
def test_every_crash_point_is_in_a_process_or_in_a_command(point: CrashPoint) -> None:
    is_in_a_command = point.startswith(("rule_", "undo_", "migration_"))

    assert is_in_a_command is (processes_of(point) == ())
    assert set() == set(processes_of(point)) - set(OURS)


def test_a_crash_point_with_an_unknown_prefix_is_an_error() -> None:
    with pytest.raises(ValueError, match="notify_committed"):
        processes_of(cast("CrashPoint", "notify_committed"))
