"""Gathering: what is wanted at the same time is done together, and nobody suffers for another."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError

from tasks.concurrency.group_commit import GroupCommit
from tests.support.waiting import wait_until


class Slow:
    """Work that doubles numbers, whose first group takes until it may go on."""

    def __init__(self, *, broken: Sequence[int] = (), error: Exception | None = None) -> None:
        self.groups: list[list[int]] = []
        self.may_go_on = threading.Event()
        self._broken = broken
        self._error = error or ValueError("a defect")

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        """Do it."""
        self.groups.append(list(numbers))
        if len(self.groups) == 1:
            self.may_go_on.wait(5)
        if set(numbers) & set(self._broken):
            raise self._error
        return [2 * each for each in numbers]


def all_at_once(work: Slow, numbers: Sequence[int]) -> list["Future[int]"]:
    """Want the first alone and the others while it is under way."""
    gathered: GroupCommit[int, int] = GroupCommit()
    with ThreadPoolExecutor(len(numbers)) as threads:
        wanted = [threads.submit(gathered.submit, numbers[0], work)]
        wait_until(lambda: len(work.groups) == 1)
        for count, each in enumerate(numbers[1:], 1):
            wanted.append(threads.submit(gathered.submit, each, work))
            wait_until(lambda count=count: len(gathered._waiting) == count)  # type: ignore[misc] # mypy knows no such lambda
        assert not any(each.done() for each in wanted)
        work.may_go_on.set()
    return wanted


def test_who_comes_alone_is_served_alone_and_at_once() -> None:
    work = Slow()
    work.may_go_on.set()
    gathered: GroupCommit[int, int] = GroupCommit()

    assert [2, 4] == [gathered.submit(1, work), gathered.submit(2, work)]
    assert [[1], [2]] == work.groups


def test_those_who_come_meanwhile_are_served_together_each_with_its_own_answer() -> None:
    work = Slow()

    wanted = all_at_once(work, [1, 2, 3, 4])

    assert [2, 4, 6, 8] == [each.result(5) for each in wanted]
    assert [[1], [2, 3, 4]] == work.groups


def test_one_that_fails_fails_alone() -> None:
    work = Slow(broken=[3])

    one, two, three, four = all_at_once(work, [1, 2, 3, 4])

    assert [2, 4, 8] == [each.result(5) for each in (one, two, four)]
    with pytest.raises(ValueError, match="a defect"):
        three.result(5)
    assert [[1], [2, 3, 4], [2], [3], [4]] == work.groups


def test_without_a_database_nobody_waits_for_it_once_more() -> None:
    work = Slow(broken=[2], error=OperationalError("SELECT", {}, Exception("connection refused")))

    _, *others = all_at_once(work, [1, 2, 3])

    assert [OperationalError] * 2 == [type(each.exception(5)) for each in others]
    assert [[1], [2, 3]] == work.groups


def test_after_a_failure_the_next_is_served() -> None:
    work = Slow(broken=[1])
    work.may_go_on.set()
    gathered: GroupCommit[int, int] = GroupCommit()
    with pytest.raises(ValueError, match="a defect"):
        gathered.submit(1, work)

    assert 4 == gathered.submit(2, work)
