"""Share the ids of one bell among the threads of this worker's pool."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Each = TypeVar("Each")
Pool = Callable[[Callable[[], None]], Any]
"""Runs one piece of work on the worker's pool, at once or soon. Raises `RuntimeError` once the pool has closed."""


class FanOut:
    """Process a bell's ids on all idle threads; if none is idle, the calling thread does them in turn.

    Without a pool of threads, as in a solo worker or a test, the calling thread does them all.
    """

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._is_stopping = False

    def use_pool(self, pool: Pool) -> None:
        """Share the work of later bells among the threads of this pool."""
        self._pool = pool

    @property
    def is_stopping(self) -> bool:
        """Whether no more work may begin."""
        return self._is_stopping

    def stop(self) -> None:
        """Begin no more work of any bell."""
        self._is_stopping = True

    def run(self, items: Sequence[Each], work: Callable[[Each], object]) -> Sequence[Each]:
        """Work on each of these items, on several at once where threads are idle. `work` must not raise.

        Return the items that no thread has begun when the worker stops. Other threads may still work on some.
        """
        left = deque(items)
        self._drain(left, work)
        return list(left)

    def _drain(self, left: deque[Each], work: Callable[[Each], object]) -> None:
        # Each thread calls in one more: on an idle worker a bell reaches many threads at once, and behind a backlog of
        # other bells one call waits in the pool, not one for each id.
        if len(left) > 1:
            self._call_in_another(left, work)
        while left and not self._is_stopping:
            try:
                each = left.popleft()
            except IndexError:  # Another thread took the last one.
                return
            work(each)

    def _call_in_another(self, left: deque[Each], work: Callable[[Each], object]) -> None:
        if self._pool is None:
            return
        try:
            self._pool(lambda: self._drain(left, work))
        except RuntimeError:  # The pool has closed. The threads that are at it do the rest.
            return
