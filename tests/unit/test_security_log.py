"""The security log counts and samples what callers without a credential can cause."""

import pytest
from structlog.testing import capture_logs

from delivery.logs.security import SampledLines, write_line
from tests.support.clocks import StillClock


@pytest.fixture
def clock() -> StillClock:
    """Return a clock at 0."""
    return StillClock()


def test_a_thousand_refusals_of_one_network_in_a_minute_are_four_lines_with_their_counts(clock: StillClock) -> None:
    lines = SampledLines(clock=clock)

    with capture_logs() as written:
        for _ in range(1234):
            lines.count("credential_refused", "ab12", network="ab12")

    assert [1, 10, 100, 1000] == [each["times_this_minute"] for each in written]
    assert {("credential_refused", "postroom.security", "ab12")} == {
        (each["event"], each["logger"], each["network"]) for each in written
    }


def test_the_count_begins_again_with_the_next_minute(clock: StillClock) -> None:
    lines = SampledLines(clock=clock)

    with capture_logs() as written:
        lines.count("limit_reached", "a")
        clock.now_s = 60
        lines.count("limit_reached", "a")

    assert [1, 1] == [each["times_this_minute"] for each in written]


def test_many_networks_cannot_fill_the_log_and_what_is_left_out_is_counted(clock: StillClock) -> None:
    lines = SampledLines(clock=clock, lines_per_minute=10)

    with capture_logs() as written:
        for number in range(30_000):
            lines.count("credential_refused", str(number))
        clock.now_s = 61
        lines.count("credential_refused", "later")

    assert 12 == len(written)
    assert {"event": "security_lines_left_out", "lines": 29_990} == {
        name: written[10][name] for name in ("event", "lines")
    }


def test_a_seldom_event_is_one_line_of_the_logger() -> None:
    with capture_logs() as written:
        write_line("address_changed", account_id="1")

    assert [("address_changed", "postroom.security", "1")] == [
        (each["event"], each["logger"], each["account_id"]) for each in written
    ]
