"""How many messages may reach one address or account an hour, from all clients. What is over waits for room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from delivery.rules.preferences import LONGEST_WAIT, fold_sender
from delivery.rules.rate_windows import RateLimit, WindowUsage

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Subject:
    """An address or account as its tally names it, and its limit.

    `unasked` are messages that passed before, and that the tally does not know of yet.
    """

    key: bytes
    limit: RateLimit
    unasked: int = 0


@dataclass(frozen=True, slots=True)
class Contacting:
    """A recipient that is about to be reached, and the subjects whose limits that uses."""

    recipient_id: int
    subjects: tuple[Subject, ...]


@dataclass(slots=True)
class HourlyUse:
    """What was used of one limit in the last two windows, and for how long recipients are queued for it already."""

    before: int = 0
    present: int = 0
    left_s: float = 0.0
    queued_s: float = 0.0

    def begin_window(self, limit: RateLimit) -> None:
        """Begin the next window, or the first, if the present one has ended."""
        if self.left_s > 0:
            return
        is_next = self.left_s > -limit.period_s
        self.before, self.present = (self.present if is_next else 0), 0
        self.left_s = limit.period_s + (self.left_s if is_next else 0)

    def wait_s(self, limit: RateLimit) -> float:
        """Return in how many seconds one more has room; 0 when it has room now."""
        return WindowUsage(self.before, self.present, self.left_s).wait_s(limit, 1)


def admit(tallies: Mapping[bytes, HourlyUse], contacting: Sequence[Contacting]) -> dict[int, timedelta]:
    """Count these recipients in the tallies, and return how long those wait that have no room, by recipient.

    Those that wait are spread over the time in which room becomes free, so that they are not due all at once.
    """
    waits: dict[int, timedelta] = {}
    for each in contacting:
        for subject in each.subjects:
            tallies[subject.key].present += subject.unasked
        full = [(subject, tallies[subject.key]) for subject in each.subjects]
        full = [(subject, tally) for subject, tally in full if tally.wait_s(subject.limit) > 0]
        if not full:
            for subject in each.subjects:
                tallies[subject.key].present += 1
            continue
        wait_s = max(max(tally.wait_s(subject.limit), tally.queued_s) for subject, tally in full)
        for subject, tally in full:
            tally.queued_s = wait_s + subject.limit.period_s / subject.limit.amount
        waits[each.recipient_id] = min(timedelta(seconds=wait_s + 1), LONGEST_WAIT)
    return waits


def mailbox_of(address: str) -> str:
    """Return the mailbox of an address: without case and without the tag after `+`, which most mail servers ignore."""
    local, at, domain = fold_sender(address).rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}"
