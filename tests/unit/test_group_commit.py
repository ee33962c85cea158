"""Group commit: work that arrives while a commit runs is done together, and each caller gets its own result."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy.exc import OperationalError

from tasks.concurrency.group_commit import GroupCommit
from tests.support.waiting import wait_until


class SlowWork:
    """Work that doubles numbers and whose first group waits until it may go on."""

    def __init__(self, *, broken: Sequence[int] = (), error: Exception | None = None) -> None:
        self.groups: list[list[int]] = []
        self.may_go_on = threading.Event()
        self._broken = broken
        self._error = error or ValueError("a defect")

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        """Double the numbers of a group."""
        self.groups.append(list(numbers))
        if len(self.groups) == 1:
            self.may_go_on.wait(5)
        if set(numbers) & set(self._broken):
            raise self._error
        return [2 * each for each in numbers]


def submit_concurrently(work: SlowWork, numbers: Sequence[int]) -> list["Future[int]"]:
    """Submit the first number alone, and the others while it is under way."""
    group_commit: GroupCommit[int, int] = GroupCommit()
    with ThreadPoolExecutor(len(numbers)) as threads:
        results = [threads.submit(group_commit.submit, numbers[0], work)]
        wait_until(lambda: len(work.groups) == 1)
        for count, each in enumerate(numbers[1:], 1):
            results.append(threads.submit(group_commit.submit, each, work))
            wait_until(lambda count=count: len(group_commit._waiting) == count)  # type: ignore[misc] # mypy knows no such lambda
        assert not any(each.done() for each in results)
        work.may_go_on.set()
    return results


def test_a_single_call_runs_alone_and_at_once() -> None:
    work = SlowWork()
    work.may_go_on.set()
    group_commit: GroupCommit[int, int] = GroupCommit()

    assert [2, 4] == [group_commit.submit(1, work), group_commit.submit(2, work)]
    assert [[1], [2]] == work.groups


def test_calls_that_arrive_meanwhile_run_together_and_each_gets_its_own_result() -> None:
    work = SlowWork()

    results = submit_concurrently(work, [1, 2, 3, 4])

    assert [2, 4, 6, 8] == [each.result(5) for each in results]
    assert [[1], [2, 3, 4]] == work.groups


def test_a_failing_call_fails_alone() -> None:
    work = SlowWork(broken=[3])

    one, two, three, four = submit_concurrently(work, [1, 2, 3, 4])

    assert [2, 4, 8] == [each.result(5) for each in (one, two, four)]
    with pytest.raises(ValueError, match="a defect"):
        three.result(5)
    assert [[1], [2, 3, 4], [2], [3], [4]] == work.groups


def test_without_a_database_no_call_of_the_group_is_repeated() -> None:
    work = SlowWork(broken=[2], error=OperationalError("SELECT", {}, Exception("connection refused")))

    _, *others = submit_concurrently(work, [1, 2, 3])

    assert [OperationalError] * 2 == [type(each.exception(5)) for each in others]
    assert [[1], [2, 3]] == work.groups


def test_after_a_failure_the_next_call_runs() -> None:
    work = SlowWork(broken=[1])
    work.may_go_on.set()
    group_commit: GroupCommit[int, int] = GroupCommit()
    with pytest.raises(ValueError, match="a defect"):
        group_commit.submit(1, work)

    assert 4 == group_commit.submit(2, work)
