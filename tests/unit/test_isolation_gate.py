"""The isolation gate: many threads share it, or one has it exclusively, and no thread waits forever."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tasks.concurrency.isolation_gate import IsolationGate


def test_threads_that_share_the_gate_run_at_the_same_time() -> None:
    isolation_gate, all_waiting = IsolationGate(), threading.Barrier(8)

    def work() -> None:
        with isolation_gate.shared():
            all_waiting.wait(5)  # Fails unless eight threads wait at once.

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(work)

    assert not all_waiting.broken


def test_an_exclusive_thread_runs_with_no_other_beside_it() -> None:
    isolation_gate, sharing = IsolationGate(), set[int]()
    seen: list[set[int]] = []

    def work(number: int) -> None:
        with isolation_gate.shared():
            sharing.add(number)
            threading.Event().wait(0.001)
            sharing.discard(number)

    def work_exclusively() -> None:
        with isolation_gate.exclusive():
            seen.append(set(sharing))
            threading.Event().wait(0.005)
            seen.append(set(sharing))

    with ThreadPoolExecutor(16) as pool:
        for number in range(200):
            pool.submit(work, number)
            if number % 20 == 0:
                pool.submit(work_exclusively)

    assert [set[int]()] * 20 == seen


def test_no_thread_waits_longer_than_the_patience_of_the_gate() -> None:
    isolation_gate, is_over = IsolationGate(patience_s=0.01), threading.Event()

    def hang() -> None:
        with isolation_gate.shared():
            is_over.wait(5)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hang)
        with isolation_gate.exclusive(), isolation_gate.shared():
            is_over.set()

    assert is_over.is_set()
