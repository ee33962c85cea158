"""Fan-out: the ids of a bell run at once on idle threads, each id on one thread."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tasks.concurrency.fan_out import FanOut


def test_without_a_pool_the_calling_thread_does_everything_in_turn() -> None:
    done: list[int] = []

    left = FanOut().run([1, 2, 3], done.append)

    assert ([], [1, 2, 3]) == (left, done)


def test_idle_threads_take_one_id_each_at_the_same_time() -> None:
    fan_out, all_waiting = FanOut(), threading.Barrier(8)
    with ThreadPoolExecutor(7) as pool:
        fan_out.use_pool(pool.submit)

        fan_out.run(range(8), lambda _: all_waiting.wait(5))  # Fails unless eight threads wait at once.

    assert not all_waiting.broken


def test_busy_threads_are_asked_once_and_find_nothing_left() -> None:
    submitted: list[Callable[[], None]] = []
    done: list[int] = []
    fan_out = FanOut()
    fan_out.use_pool(submitted.append)

    fan_out.run(range(16), done.append)
    (late,) = submitted
    late()

    assert list(range(16)) == done


def test_a_stopped_fan_out_begins_nothing_more_and_returns_what_is_left() -> None:
    fan_out = FanOut()
    done: list[int] = []

    def work(each: int) -> None:
        done.append(each)
        fan_out.stop()

    assert [2, 3] == fan_out.run([1, 2, 3], work)
    assert [1] == done


def test_with_a_closed_pool_the_calling_thread_does_everything() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    fan_out = FanOut()
    fan_out.use_pool(pool.submit)
    done: list[int] = []

    fan_out.run([1, 2], done.append)

    assert [1, 2] == done
