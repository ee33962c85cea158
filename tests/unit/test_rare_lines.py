"""Lines about what happens in any number: few of them, and the next one tells how many there were without one."""

from collections.abc import Callable

import pytest
import structlog
from structlog.testing import capture_logs

from delivery.logs.rare_lines import DueLine, RareLines, is_first
from tests.support.clocks import StillClock


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still until it is set."""
    return StillClock()


@pytest.fixture
def first(clock: StillClock) -> RareLines:
    """Return lines of which each key has one in ten seconds."""
    return RareLines(is_due=is_first, period_s=10, clock=clock)


def due(count: Callable[[], DueLine | None], times: int) -> list[tuple[int, int]]:
    """Count so many times; return what the lines that were due say."""
    return [(line.times, line.more) for _ in range(times) if (line := count())]


def test_a_line_in_a_period_counts_those_before_it(first: RareLines, clock: StillClock) -> None:
    found = []

    for clock.now_s, times in ((0, 1), (5, 100), (10, 1), (19.9, 5), (20, 1)):
        found += due(first.count, times)

    assert [(1, 0), (1, 100), (1, 5)] == found


def test_by_default_lines_become_rarer_within_a_period(clock: StillClock) -> None:
    lines = RareLines(clock=clock)

    found = due(lines.count, 1234)

    assert [(1, 0), (10, 8), (100, 89), (1000, 899)] == found
    clock.now_s = 60
    assert [(1, 234)] == due(lines.count, 1)


def test_each_key_is_counted_by_itself(first: RareLines) -> None:
    found = [[first.count(key) is not None for key in ("a", "b", None)] for _ in range(2)]

    assert [[True] * 3, [False] * 3] == found


def test_all_keys_together_have_a_limit_and_what_is_above_is_reported(clock: StillClock) -> None:
    reported: list[int] = []
    lines = RareLines(lines_limit=10, clock=clock, report_left_out=reported.append)

    written = [each for each in range(30_000) if lines.count(each)]
    clock.now_s = 60
    later = due(lambda: lines.count("later"), 1)

    assert (list(range(10)), [29_990], [(1, 0)]) == (written, reported, later)


def test_a_line_of_the_log_has_its_fields_and_how_many_more_there_were(first: RareLines, clock: StillClock) -> None:
    with capture_logs() as written:
        for clock.now_s in (0, 1, 2, 10):
            first.log(structlog.get_logger().info, "refused", key="a", status=400)

    assert [{"status": 400}, {"status": 400, "more": 2}] == [
        {name: value for name, value in each.items() if name not in {"event", "log_level"}} for each in written
    ]
