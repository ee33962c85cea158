"""Company: who works beside others in this worker, and who has to be alone, so that a death tells of whom it was."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_S = 10.0


class IsolationGate:
    """Many work beside each other, or one works alone.

    Nobody waits longer than `patience_s` for that: a relay that hangs must not hold up a whole worker.
    """

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._turn = threading.Condition()
        self._loner = threading.Lock()
        self._beside = 0
        self._is_asked_for = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Work beside others, once whoever asked to be alone has ended."""
        with self._turn:
            self._turn.wait_for(lambda: not self._is_asked_for, self._patience_s)
            self._beside += 1
        try:
            yield
        finally:
            with self._turn:
                self._beside -= 1
                self._turn.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Work alone, once all others have ended; nobody begins meanwhile."""
        with self._loner:
            self._ask(is_so=True)
            try:
                yield
            finally:
                self._ask(is_so=False)

    def _ask(self, *, is_so: bool) -> None:
        with self._turn:
            self._is_asked_for = is_so
            self._turn.notify_all()
            if is_so:
                self._turn.wait_for(lambda: not self._beside, self._patience_s)
