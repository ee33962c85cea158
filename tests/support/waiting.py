"""Wait for a condition, always with a deadline, never for a time that is hoped to be enough."""

import threading
from collections.abc import Callable
from time import monotonic

_TICK_S = 0.005


def wait_until(is_so: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Return as soon as the condition holds. Raises `AssertionError` after the deadline."""
    deadline = monotonic() + within_s
    tick = threading.Event()
    while not is_so():
        assert monotonic() < deadline, f"still waiting after {within_s} s"
        tick.wait(_TICK_S)
