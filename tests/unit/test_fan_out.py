"""Hands: the ids of a bell are worked on at once where hands are free, and each by one hand only."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tasks.concurrency.fan_out import FanOut


def test_without_a_pool_one_pair_of_hands_does_everything_in_turn() -> None:
    done: list[int] = []

    left = FanOut().run([1, 2, 3], done.append)

    assert ([], [1, 2, 3]) == (left, done)


def test_free_hands_take_one_each_at_the_same_time() -> None:
    fan_out, all_here = FanOut(), threading.Barrier(8)
    with ThreadPoolExecutor(7) as pool:
        fan_out.use_pool(pool.submit)

        fan_out.run(range(8), lambda _: all_here.wait(5))  # Breaks, unless eight are there at once.

    assert not all_here.broken


def test_busy_hands_are_called_once_and_find_nothing_left() -> None:
    called: list[Callable[[], None]] = []
    done: list[int] = []
    fan_out = FanOut()
    fan_out.use_pool(called.append)

    fan_out.run(range(16), done.append)
    (late,) = called
    late()

    assert list(range(16)) == done


def test_who_leaves_begins_nothing_more_and_says_what_is_left() -> None:
    fan_out = FanOut()
    done: list[int] = []

    def work(each: int) -> None:
        done.append(each)
        fan_out.stop()

    assert [2, 3] == fan_out.run([1, 2, 3], work)
    assert [1] == done


def test_a_pool_that_has_closed_is_done_without() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    fan_out = FanOut()
    fan_out.use_pool(pool.submit)
    done: list[int] = []

    fan_out.run([1, 2], done.append)

    assert [1, 2] == done
