"""Quiet hours: a period of every local day, which may cross midnight, and the instant at which it ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The local times from `begin` up to but not including `end`. When both are equal there are no quiet hours."""

    begin: time
    end: time

    def cover(self, local_time: time) -> bool:
        """Check whether this local time is within the quiet hours."""
        if self.begin <= self.end:
            return self.begin <= local_time < self.end
        return local_time >= self.begin or local_time < self.end


def quiet_until(hours: QuietHours, zone: tzinfo, now: datetime) -> datetime | None:
    """Return the first instant after `now`, in UTC, at which these hours end; None when it is not quiet now.

    Where clocks are set forward over the end, the hours end at that moment. Where clocks are set back, the end and the
    hours before it come twice: each `now` gets the next of the two.
    """
    local = now.astimezone(zone)
    if not hours.cover(local.time()):
        return None
    return next(
        instant
        # Today and tomorrow are enough in most years. The other days are for a zone that crosses the date line, or
        # for clocks that jump over the end and everything up to the next begin.
        for days in range(4)
        for instant in _instants(local.date() + days * _DAY, hours.end, zone)
        if instant > now and not hours.cover(instant.astimezone(zone).time())
    )


def _instants(day: date, local_time: time, zone: tzinfo) -> Iterator[datetime]:
    """Yield the instants of a local time on a day: one, two, or the moment at which clocks jump over it (PEP 495)."""
    local = datetime.combine(day, local_time, tzinfo=zone)
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        yield from dict.fromkeys((first, second))
    else:
        yield _jump(second, first, zone)


def _jump(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the second between these two instants at which the zone's clocks are set forward."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)
