"""Hands: the threads of this worker's pool, among which the ids of one bell are shared."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Each = TypeVar("Each")
Pool = Callable[[Callable[[], None]], Any]
"""Has the worker's pool do one piece of work, at once or soon. Raises `RuntimeError` once the pool has closed."""


class FanOut:
    """As many as are free lend a hand with a bell; where none is, whoever heard it works through it alone.

    A worker without a pool of threads has one pair of hands, and so has a test.
    """

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._is_leaving = False

    def use_pool(self, pool: Pool) -> None:
        """Share what follows among the threads of this pool."""
        self._pool = pool

    @property
    def is_stopping(self) -> bool:
        """Say whether nothing more should be begun."""
        return self._is_leaving

    def stop(self) -> None:
        """Begin nothing of any bell from now on."""
        self._is_leaving = True

    def run(self, items: Sequence[Each], work: Callable[[Each], object]) -> Sequence[Each]:
        """Work on each of these, on several at once where hands are free; `work` must not raise.

        Answers those that nobody has begun when the worker leaves. Others may still be worked on in other hands.
        """
        left = deque(items)
        self._help(left, work)
        return list(left)

    def _help(self, left: deque[Each], work: Callable[[Each], object]) -> None:
        # Each calls one more: a bell on an idle worker is in many hands at once, and behind a backlog of other bells
        # one call for help waits, not one for each id.
        if len(left) > 1:
            self._call(left, work)
        while left and not self._is_leaving:
            try:
                each = left.popleft()
            except IndexError:  # Another hand was quicker.
                return
            work(each)

    def _call(self, left: deque[Each], work: Callable[[Each], object]) -> None:
        if self._pool is None:
            return
        try:
            self._pool(lambda: self._help(left, work))
        except RuntimeError:  # The pool has closed; what is left is done by those who are at it.
            return
