"""When quiet hours end, on ordinary days and on those on which clocks change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from delivery.rules.quiet_hours import QuietHours, quiet_until

NIGHT = "22:00-07:00"
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/St_Johns",
    "Pacific/Chatham",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Asia/Gaza",
]


def hours(text: str) -> QuietHours:
    """Read hours of the form 22:00-07:00."""
    begin, end = (time.fromisoformat(each) for each in text.split("-"))
    return QuietHours(begin, end)


@pytest.mark.parametrize(
    ("quiet", "zone", "now", "expected"),
    [
        (NIGHT, "UTC", "2026-06-01T21:59:59", None),
        (NIGHT, "UTC", "2026-06-01T22:00:00", "2026-06-02T07:00:00"),
        (NIGHT, "UTC", "2026-06-01T23:59:59", "2026-06-02T07:00:00"),
        (NIGHT, "UTC", "2026-06-02T00:00:00", "2026-06-02T07:00:00"),
        (NIGHT, "UTC", "2026-06-02T06:59:59", "2026-06-02T07:00:00"),
        (NIGHT, "UTC", "2026-06-02T07:00:00", None),
        ("12:00-14:00", "UTC", "2026-06-01T12:00:00", "2026-06-01T14:00:00"),
        ("12:00-14:00", "UTC", "2026-06-01T11:59:59", None),
        ("00:00-00:00", "UTC", "2026-06-01T00:00:00", None),
        ("09:00-09:00", "UTC", "2026-06-01T23:00:00", None),
        ("22:00-00:00", "UTC", "2026-12-31T22:30:00", "2027-01-01T00:00:00"),
        (NIGHT, "Europe/Berlin", "2026-06-01T20:00:00", "2026-06-02T05:00:00"),
        (NIGHT, "Europe/Berlin", "2026-01-01T21:00:00", "2026-01-02T06:00:00"),
        (NIGHT, "Asia/Kolkata", "2026-06-01T17:00:00", "2026-06-02T01:30:00"),
        (NIGHT, "Pacific/Kiritimati", "2026-06-01T08:00:00", "2026-06-01T17:00:00"),
        # The night in which Berlin's clocks go from 02:00 to 03:00: an hour short.
        (NIGHT, "Europe/Berlin", "2026-03-28T21:00:00", "2026-03-29T05:00:00"),
        # The end, or the beginning, lies in the hour that is missing.
        ("22:00-02:30", "Europe/Berlin", "2026-03-28T22:00:00", "2026-03-29T01:00:00"),
        ("22:00-02:00", "Europe/Berlin", "2026-03-28T22:00:00", "2026-03-29T01:00:00"),
        ("22:00-03:00", "Europe/Berlin", "2026-03-28T22:00:00", "2026-03-29T01:00:00"),
        ("02:30-04:00", "Europe/Berlin", "2026-03-29T00:59:59", None),
        ("02:30-04:00", "Europe/Berlin", "2026-03-29T01:00:00", "2026-03-29T02:00:00"),
        # The night in which they go from 03:00 back to 02:00: an hour long.
        (NIGHT, "Europe/Berlin", "2026-10-24T20:00:00", "2026-10-25T06:00:00"),
        # The end comes twice, and the half hour before it as well.
        ("22:00-02:30", "Europe/Berlin", "2026-10-24T22:00:00", "2026-10-25T00:30:00"),
        ("22:00-02:30", "Europe/Berlin", "2026-10-25T00:45:00", None),
        ("22:00-02:30", "Europe/Berlin", "2026-10-25T01:15:00", "2026-10-25T01:30:00"),
        ("02:30-02:45", "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-25T00:45:00"),
        ("02:30-02:45", "Europe/Berlin", "2026-10-25T01:30:00", "2026-10-25T01:45:00"),
        # Half an hour only, and the day that Samoa left out.
        ("22:00-02:15", "Australia/Lord_Howe", "2026-10-03T15:00:00", "2026-10-03T15:30:00"),
        (NIGHT, "Pacific/Apia", "2011-12-30T09:00:00", "2011-12-30T17:00:00"),
    ],
)
def test_quiet_hours_end_by_the_wall_clock_of_the_time_zone(
    quiet: str, zone: str, now: str, expected: str | None
) -> None:
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)

    end = quiet_until(hours(quiet), ZoneInfo(zone), instant)

    assert expected == (end and end.replace(tzinfo=None).isoformat())


clocks = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
instants = st.datetimes(datetime(2015, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(begin=clocks, end=clocks, zone=st.sampled_from(ZONES), now=instants)
@example(time(3), time(1), "Europe/Berlin", datetime(2026, 3, 29, 0, 59, tzinfo=UTC))
@example(time(2, 30), time(2, 29), "Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
def test_the_end_is_ahead_and_not_quiet_and_within_a_day(begin: time, end: time, zone: str, now: datetime) -> None:
    quiet, place = QuietHours(begin, end), ZoneInfo(zone)

    until = quiet_until(quiet, place, now)

    is_quiet = quiet.cover(now.astimezone(place).time())
    assert is_quiet is (until is not None)
    assume(until is not None)
    assert until is not None
    assert now < until
    assert not quiet.cover(until.astimezone(place).time())
    # 25 hours on the day that is an hour longer; one more day where clocks jump over all that is not quiet.
    is_open_for_long = (datetime.combine(now, begin) - datetime.combine(now, end)) % timedelta(days=1) > timedelta(
        hours=1
    )
    assert until - now <= timedelta(hours=25 if is_open_for_long else 49)


@given(begin=clocks, end=clocks, zone=st.sampled_from(ZONES), now=instants)
def test_all_the_time_until_the_end_is_quiet_but_for_an_hour_that_comes_twice(
    begin: time, end: time, zone: str, now: datetime
) -> None:
    quiet, place = QuietHours(begin, end), ZoneInfo(zone)
    until = quiet_until(quiet, place, now)
    assume(until is not None)
    assert until is not None

    steps = [now + share * (until - now) / 50 for share in range(50)]
    loud = [each for each in steps if not quiet.cover(each.astimezone(place).time())]

    changes = {each.astimezone(place).utcoffset() for each in [*steps, until]}
    assert not loud or len(changes) == 2
