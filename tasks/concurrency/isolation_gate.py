"""Run deliveries concurrently, or one suspect exclusively, so that a crash identifies its cause."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_S = 10.0


class IsolationGate:
    """Let many threads work at once, or one thread alone.

    Threads of one kind wait for the other kind for `patience_s` at most, because a relay that hangs must not hold up a
    whole worker. Then they work beside each other, so this is no lock. Threads that want to work alone take turns, and
    wait for their turn without a limit.
    """

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._exclusive_turn = threading.Lock()
        self._shared_count = 0
        self._is_exclusive_wanted = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Work concurrently with others, once no thread wants to work alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_exclusive_wanted, self._patience_s)
            self._shared_count += 1
        try:
            yield
        finally:
            with self._changed:
                self._shared_count -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Work alone: wait for this thread's turn, then until the others have ended, and let none begin meanwhile."""
        with self._exclusive_turn:
            self._want_exclusive(is_wanted=True)
            try:
                yield
            finally:
                self._want_exclusive(is_wanted=False)

    def _want_exclusive(self, *, is_wanted: bool) -> None:
        with self._changed:
            self._is_exclusive_wanted = is_wanted
            self._changed.notify_all()
            if is_wanted:
                self._changed.wait_for(lambda: not self._shared_count, self._patience_s)
