"""Limits of addresses and accounts: who has room, and how long the others wait."""

from datetime import timedelta

import pytest

from delivery.rules.rate_windows import RateLimit
from delivery.rules.recipient_limits import Contacting, HourlyUse, Subject, admit, mailbox_of
from tasks.concurrency.unasked_counts import UnaskedCounts

LIMIT = RateLimit(3, 3600)


def contacting(number: int, *keys: bytes, unasked: int = 0) -> Contacting:
    """Make a recipient that uses the limits of these subjects."""
    return Contacting(number, tuple(Subject(key, LIMIT, unasked) for key in keys))


def fresh(**counted: float) -> HourlyUse:
    """Make a tally whose window has just begun."""
    return HourlyUse(**{"left_s": 3600.0, **counted})  # type: ignore[arg-type]


def test_what_is_over_the_limit_waits_for_room_and_is_spread() -> None:
    tallies = {b"a": fresh()}

    waits = admit(tallies, [contacting(number, b"a") for number in range(6)])

    hour, apart = timedelta(seconds=3601), timedelta(minutes=20)
    assert {3: hour, 4: hour + apart, 5: hour + 2 * apart} == waits
    assert 3 == tallies[b"a"].present


def test_a_recipient_without_room_uses_nothing_of_the_other_limit() -> None:
    tallies = {b"account": fresh(present=3), b"address": fresh()}

    waits = admit(tallies, [contacting(1, b"account", b"address")])

    assert ([1], 0, 0.0) == (list(waits), tallies[b"address"].present, tallies[b"address"].queued_s)


def test_what_passed_unasked_is_counted_first() -> None:
    assert [1] == list(admit({b"a": fresh()}, [contacting(1, b"a", unasked=3)]))


def test_no_one_waits_longer_than_a_day_at_once() -> None:
    assert {1: timedelta(days=1)} == admit({b"a": fresh(present=3, queued_s=1e6)}, [contacting(1, b"a")])


@pytest.mark.parametrize(
    ("left_s", "expected"), [(5.0, (1, 2, 5.0)), (-5.0, (2, 0, 3595.0)), (-3700.0, (0, 0, 3600.0))]
)
def test_a_window_follows_the_one_before(left_s: float, expected: tuple[int, int, float]) -> None:
    tally = HourlyUse(1, 2, left_s)

    tally.begin_window(LIMIT)

    assert expected == (tally.before, tally.present, tally.left_s)


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("Ada@Example.com", "ada@example.com"),
        ("ada+jobs@example.com", "ada@example.com"),
        ("+ada@example.com", "+ada@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_an_address_is_counted_without_case_and_tag(address: str, mailbox: str) -> None:
    assert mailbox == mailbox_of(address)


def test_a_process_lets_its_share_pass_and_reports_it_once() -> None:
    now = 0.0
    counts = UnaskedCounts(2, lambda: now)

    before = [counts.add("a") for _ in range(4)]
    counts.add("b")
    counts.take_back("b")
    other = [counts.add("b") for _ in range(2)]
    now = 3600.0

    assert ([None, None, 2, 0], [None, None], None) == (before, other, counts.add("a"))


def test_however_many_subjects_there_are_the_memory_is_bounded_and_a_busy_one_is_remembered() -> None:
    counts = UnaskedCounts(4, lambda: 0.0)
    for _ in range(5):
        counts.add("busy")

    for number in range(60_000):
        counts.add(number)

    assert (0, True) == (counts.add("busy"), len(counts._counts) <= 50_001)
