"""Schedules of trials: the same seed gives the same schedule."""

import pytest

from chaos.scenarios import SCENES, point_schedules, scene
from chaos.schedule import Fault, draw
from delivery.crash_points import CrashPoint

SEEDS = range(300)


def test_the_same_seed_is_the_same_schedule() -> None:
    assert [draw(seed) for seed in SEEDS] == [draw(seed) for seed in SEEDS]


def test_a_schedule_has_one_to_three_faults_and_messages_to_one_to_twenty_five_accounts() -> None:
    schedules = [draw(seed) for seed in SEEDS]

    assert {1, 2, 3} == {len(schedule.faults) for schedule in schedules}
    assert all(20 <= len(schedule.messages) <= 200 for schedule in schedules)
    sizes = {len(planned.recipients) for schedule in schedules for planned in schedule.messages}
    assert (1, 25) == (min(sizes), max(sizes))


def test_every_fault_is_drawn_sooner_or_later() -> None:
    assert set(Fault) == {fault.fault for seed in SEEDS for fault in draw(seed).faults}


def test_a_schedule_has_one_crash_point_at_most() -> None:
    assert {0, 1} == {sum(fault.point is not None for fault in draw(seed).faults) for seed in SEEDS}


def test_every_crash_point_has_a_trial() -> None:
    tried = [fault.point for schedule in point_schedules(CrashPoint, 1) for fault in schedule.faults if fault.point]

    assert list(CrashPoint) == tried


@pytest.mark.parametrize("name", SCENES)
def test_a_scenario_is_drawn_from_its_seed(name: str) -> None:
    assert scene(name, 5) == scene(name, 5)
