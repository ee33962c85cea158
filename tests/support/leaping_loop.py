"""An event loop whose clock leaps over every wait, so that a test never really waits."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _LeapingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timeout, moves the clock on by it."""

    ahead_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, without waiting."""
        assert timeout is not None, "Nothing is ready and nothing is timed: the test would wait forever."
        self.ahead_s += max(timeout, 0)
        return super().select(0)


class LeapingLoop(asyncio.SelectorEventLoop):
    """The loop of one test."""

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        """Return the time: the sum of all leaps."""
        return self._leaping.ahead_s


def run(test: Coroutine[Any, Any, Result]) -> Result:
    """Run an asynchronous test to its end."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(test)


def now() -> float:
    """Return how many seconds this test has leapt over."""
    return asyncio.get_running_loop().time()
