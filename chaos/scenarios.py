"""Scenarios: trials of one crash point with the faults that make a process pass it, and of a few rare events."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from chaos.schedule import LOAD_S, Ending, Fault, PlannedFault, Schedule, draw_focused, is_often
from delivery.crash_points import CrashAction, CrashPoint

# The sweep finds nothing while bells arrive. The other workers recover a crashed one within two heartbeats. A lease
# expires only under a worker that is alive and makes no progress: it freezes while it delivers.
_EXPIRING = (
    PlannedFault(Fault.DEAF_SMTP, 0.2, 2.0),
    PlannedFault(Fault.FREEZE_SMTP, 1.0, 4.0),
    PlannedFault(Fault.LEAP, 1.4),
    PlannedFault(Fault.LEAP, 2.2),
)
_MESSAGES, _SHORT_LOAD_S = 40, 1.0
_BEFORE = {
    CrashPoint.LEASE_EXPIRY_WRITTEN: _EXPIRING,
    CrashPoint.LEASE_EXPIRY_COMMITTED: _EXPIRING,
    CrashPoint.SWEEP_FOUND: (PlannedFault(Fault.CUT_VALKEY, 0.3), PlannedFault(Fault.DEAF_VALKEY, 0.4, 2.0)),
    CrashPoint.SWEEP_WORKED: (PlannedFault(Fault.CUT_VALKEY, 0.3), PlannedFault(Fault.DEAF_VALKEY, 0.4, 2.0)),
}


_FROZEN = PlannedFault(Fault.CRASH_POINT, 0.0, 6.0, CrashPoint.DATA_END_ANSWERED, 1, CrashAction.FREEZE)
_OFTEN = (0.7, 1.1, 1.5, 1.9, 2.3, 2.7)
SCENES = {
    # A worker freezes before it can record that its mail was taken, another sends it again, and the first one wakes.
    "late_outcome": (
        _FROZEN,
        PlannedFault(Fault.LEAP, 2.5),
        PlannedFault(Fault.LEAP, 3.7),
        PlannedFault(Fault.LEAP, 4.9),
    ),
    # Mails that are sent slowly stay claimed for long enough to be hit by a forged bell.
    "forged_bells": (
        PlannedFault(Fault.SLICE_SMTP, 0.2, 3.0),
        *(PlannedFault(Fault.FORGED_BELLS, at_s) for at_s in _OFTEN),
    ),
    "only_bells": (),
}
"""The faults of each scenario. In `only_bells` there is none, and the sweep comes too late to help."""


def scene(name: str, seed: int) -> Schedule:
    """Draw a trial of this scenario."""
    schedule = draw_focused(seed, SCENES[name])
    if name != "only_bells":
        return schedule
    plain = tuple(planned for planned in schedule.messages if planned.ending is Ending.PLAIN)
    return replace(schedule, messages=plain, is_swept=False)


def point_schedules(
    points: Iterable[CrashPoint], seed: int, action: CrashAction = CrashAction.KILL
) -> Iterator[Schedule]:
    """Draw a trial for each of these points. Commands are always killed: a frozen one would never be thawed."""
    for number, point in enumerate(points):
        is_command = point.startswith(("rule_", "migration_"))
        rng = random.Random(seed + number)
        hit = rng.choice((1, 2)) if is_often(point) else 1
        done = CrashAction.KILL if is_command else action
        crash = PlannedFault(Fault.CRASH_POINT, 0.0, 0.5, point, hit, done)
        before = _BEFORE.get(point, ())
        # A point that needs no other fault has fired within the first second.
        yield draw_focused(seed + number, (*before, crash), count=_MESSAGES, load_s=LOAD_S if before else _SHORT_LOAD_S)
