"""The sliding window: how long to wait is neither too short nor too long."""

from hypothesis import given
from hypothesis import strategies as st

from api_stub.ratelimit.local_counter import LocalCounter
from delivery.rules.rate_windows import RateLimit, WindowUsage

_MOMENT_S = 1e-6
rate_limits = st.builds(RateLimit, st.integers(1, 1000), st.sampled_from([60, 3600]))


@given(rate_limits, st.integers(0, 1000), st.integers(0, 1000), st.floats(0.01, 1), st.integers(1, 1000))
def test_after_the_wait_so_much_fits_and_before_it_does_not(
    rate_limit: RateLimit, before: int, present: int, left: float, count: int
) -> None:
    count = min(count, rate_limit.amount)
    counter = _counter(rate_limit, before % (rate_limit.amount + 1), present % (rate_limit.amount + 1), left)

    wait_s = counter.wait_s(count, 0)

    assert 0 == counter.wait_s(count, wait_s + _MOMENT_S)
    if wait_s > 1:
        assert 0 < _counter(
            rate_limit, before % (rate_limit.amount + 1), present % (rate_limit.amount + 1), left
        ).wait_s(count, wait_s - 1)


@given(rate_limits, st.lists(st.tuples(st.floats(0, 100), st.integers(1, 50)), max_size=60))
def test_in_no_window_more_is_used_than_the_limit(rate_limit: RateLimit, uses: list[tuple[float, int]]) -> None:
    counter, now = LocalCounter(rate_limit, 0), 0.0

    for passed, count in uses:
        now += passed
        if not counter.wait_s(count, now):
            counter.spend(count)

        assert counter.usage(now).used(rate_limit) <= rate_limit.amount


def test_what_was_used_in_the_window_before_weighs_less_and_less() -> None:
    rate_limit = RateLimit(100, 60)

    assert [100, 75, 50, 0] == [WindowUsage(100, 0, left_s).used(rate_limit) for left_s in (60, 45, 30, 0)]


def test_a_chunk_is_a_fiftieth_and_never_nothing() -> None:
    assert [1, 1, 1, 2, 200] == [RateLimit(amount, 60).chunk for amount in (1, 50, 99, 100, 10_000)]


def test_what_was_drawn_expires_after_a_period() -> None:
    counter = LocalCounter(RateLimit(100, 60), 0)

    counter.draw(10, 0)

    assert [-9, -9, 1] == [counter.lacks(1, now) for now in (0, 59.9, 60)]


def _counter(rate_limit: RateLimit, before: int, present: int, left: float) -> LocalCounter:
    """Make a counter at the instant 0, with so much used and this part of its window left."""
    begun_at = -(1 - left) * rate_limit.period_s
    counter = LocalCounter(rate_limit, begun_at - rate_limit.period_s)
    counter.spend(before)
    counter.wait_s(1, begun_at)
    counter.spend(present)
    return counter
