"""Company: many work beside each other, or one works alone, and nobody waits for that for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tasks.concurrency.isolation_gate import IsolationGate


def test_those_who_do_not_ask_to_be_alone_work_at_the_same_time() -> None:
    isolation_gate, all_here = IsolationGate(), threading.Barrier(8)

    def work() -> None:
        with isolation_gate.shared():
            all_here.wait(5)  # Breaks, unless eight are there at once.

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(work)

    assert not all_here.broken


def test_who_works_alone_has_nobody_beside() -> None:
    isolation_gate, beside = IsolationGate(), set[int]()
    seen: list[set[int]] = []

    def work(number: int) -> None:
        with isolation_gate.shared():
            beside.add(number)
            threading.Event().wait(0.001)
            beside.discard(number)

    def work_alone() -> None:
        with isolation_gate.exclusive():
            seen.append(set(beside))
            threading.Event().wait(0.005)
            seen.append(set(beside))

    with ThreadPoolExecutor(16) as pool:
        for number in range(200):
            pool.submit(work, number)
            if number % 20 == 0:
                pool.submit(work_alone)

    assert [set[int]()] * 20 == seen


def test_nobody_waits_longer_than_his_patience_for_one_who_hangs() -> None:
    isolation_gate, is_over = IsolationGate(patience_s=0.01), threading.Event()

    def hang() -> None:
        with isolation_gate.shared():
            is_over.wait(5)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hang)
        with isolation_gate.exclusive(), isolation_gate.shared():
            is_over.set()

    assert is_over.is_set()
