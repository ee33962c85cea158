"""Hands: the ids of a bell are worked on at once where hands are free, and each by one hand only."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tasks.concurrency.fan_out import Hands


def test_without_a_pool_one_pair_of_hands_does_everything_in_turn() -> None:
    done: list[int] = []

    left = Hands().share([1, 2, 3], done.append)

    assert ([], [1, 2, 3]) == (left, done)


def test_free_hands_take_one_each_at_the_same_time() -> None:
    hands, all_here = Hands(), threading.Barrier(8)
    with ThreadPoolExecutor(7) as pool:
        hands.lend(pool.submit)

        hands.share(range(8), lambda _: all_here.wait(5))  # Breaks, unless eight are there at once.

    assert not all_here.broken


def test_busy_hands_are_called_once_and_find_nothing_left() -> None:
    called: list[Callable[[], None]] = []
    done: list[int] = []
    hands = Hands()
    hands.lend(called.append)

    hands.share(range(16), done.append)
    (late,) = called
    late()

    assert list(range(16)) == done


def test_who_leaves_begins_nothing_more_and_says_what_is_left() -> None:
    hands = Hands()
    done: list[int] = []

    def work(each: int) -> None:
        done.append(each)
        hands.leave()

    assert [2, 3] == hands.share([1, 2, 3], work)
    assert [1] == done


def test_a_pool_that_has_closed_is_done_without() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    hands = Hands()
    hands.lend(pool.submit)
    done: list[int] = []

    hands.share([1, 2], done.append)

    assert [1, 2] == done
