"""Clocks that only the test moves."""


class StillClock:
    """A clock that stands still until it is moved."""

    now_s = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now_s
