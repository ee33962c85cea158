"""Quiet hours: a stretch of every local day, across midnight if need be, and the instant at which it ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begin` until before `end`, by the clock on the wall. The same time twice means none at all."""

    begin: time
    end: time

    def cover(self, clock: time) -> bool:
        """Say whether it is quiet when the clock on the wall shows this."""
        if self.begin <= self.end:
            return self.begin <= clock < self.end
        return clock >= self.begin or clock < self.end


def quiet_until(hours: QuietHours, zone: tzinfo, now: datetime) -> datetime | None:
    """Give the first instant after `now`, in UTC, at which these hours end; None when it is not quiet now.

    Where clocks are set forward over the end, they end at that very moment. Where clocks are set back, the end comes
    twice and so do the hours before it: each `now` gets the next of the two.
    """
    local = now.astimezone(zone)
    if not hours.cover(local.time()):
        return None
    return next(
        instant
        # A day is enough in most years. The third is for a date line that moved, or an end that clocks jump over
        # together with everything up to the next begin.
        for days in range(4)
        for instant in _instants(local.date() + days * _DAY, hours.end, zone)
        if instant > now and not hours.cover(instant.astimezone(zone).time())
    )


def _instants(day: date, clock: time, zone: tzinfo) -> Iterator[datetime]:
    """Give when the clock shows this on that day: once, twice, or the moment at which it jumps over it (PEP 495)."""
    wall = datetime.combine(day, clock, tzinfo=zone)
    first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        yield from dict.fromkeys((first, second))
    else:
        yield _jump(second, first, zone)


def _jump(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Find the second between these two at which the zone's clocks are set forward."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)
