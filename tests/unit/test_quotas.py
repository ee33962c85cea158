"""The sliding window: how long to wait is neither too short nor too long."""

from hypothesis import given
from hypothesis import strategies as st

from api_stub.ratelimit.local_counter import Meter
from api_stub.ratelimit.window import Quota, Tally

_MOMENT_S = 1e-6
quotas = st.builds(Quota, st.integers(1, 1000), st.sampled_from([60, 3600]))


@given(quotas, st.integers(0, 1000), st.integers(0, 1000), st.floats(0.01, 1), st.integers(1, 1000))
def test_after_the_wait_so_much_fits_and_before_it_does_not(
    quota: Quota, before: int, present: int, left: float, count: int
) -> None:
    count = min(count, quota.amount)
    meter = _meter(quota, before % (quota.amount + 1), present % (quota.amount + 1), left)

    wait_s = meter.wait_s(count, 0)

    assert 0 == meter.wait_s(count, wait_s + _MOMENT_S)
    if wait_s > 1:
        assert 0 < _meter(quota, before % (quota.amount + 1), present % (quota.amount + 1), left).wait_s(
            count, wait_s - 1
        )


@given(quotas, st.lists(st.tuples(st.floats(0, 100), st.integers(1, 50)), max_size=60))
def test_in_no_window_more_is_used_than_the_quota(quota: Quota, uses: list[tuple[float, int]]) -> None:
    meter, now = Meter(quota, 0), 0.0

    for passed, count in uses:
        now += passed
        if not meter.wait_s(count, now):
            meter.spend(count)

        assert meter.tally(now).used(quota) <= quota.amount


def test_what_was_used_in_the_window_before_weighs_less_and_less() -> None:
    quota = Quota(100, 60)

    assert [100, 75, 50, 0] == [Tally(100, 0, left_s).used(quota) for left_s in (60, 45, 30, 0)]


def test_a_chunk_is_a_fiftieth_and_never_nothing() -> None:
    assert [1, 1, 1, 2, 200] == [Quota(amount, 60).chunk for amount in (1, 50, 99, 100, 10_000)]


def test_what_was_drawn_lapses_after_a_period() -> None:
    meter = Meter(Quota(100, 60), 0)

    meter.draw(10, 0)

    assert [-9, -9, 1] == [meter.lacks(1, now) for now in (0, 59.9, 60)]


def _meter(quota: Quota, before: int, present: int, left: float) -> Meter:
    """Make a meter at the instant 0, with so much used and this part of its window left."""
    begun_at = -(1 - left) * quota.period_s
    meter = Meter(quota, begun_at - quota.period_s)
    meter.spend(before)
    meter.wait_s(1, begun_at)
    meter.spend(present)
    return meter
