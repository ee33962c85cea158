"""Keep whether the relay takes our mail, and log once a minute when it does not, in its own words."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

import structlog

from delivery.logs.rare_lines import RareLines, is_first
from delivery.rules.masking import mask_addresses
from delivery.rules.relay_trouble import RelayTrouble, relay_advice

_log = structlog.get_logger()


class RelayHealth:
    """What the relay last said about us. Safe for several threads."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._lines = RareLines(is_due=is_first, clock=clock)
        self._lock = threading.Lock()
        self._is_logged = False
        self._trouble: RelayTrouble | None = None
        self._earlier: RelayTrouble | None = None

    @property
    def trouble(self) -> RelayTrouble | None:
        """Since when the relay takes no mail of ours, and its words; None while it takes mail."""
        return self._trouble

    def refused(self, words: str) -> None:
        """Record that the relay refused us, or could not be reached. Addresses in these words are masked."""
        with self._lock:
            masked = mask_addresses(words)
            before = self._trouble or self._earlier
            since = before.since if before else datetime.now(UTC)
            self._trouble = RelayTrouble(since, masked)
            is_due = self._lines.count() is not None
            self._is_logged = self._is_logged or is_due
        if is_due:
            _log.warning("relay_refused_us", words=masked, since=since.isoformat(), what_now=relay_advice(masked))

    def reached(self) -> None:
        """Record that the relay lets us in again. It has not taken a mail yet: a new refusal continues this trouble."""
        self._end(self._trouble)

    def took_mail(self) -> None:
        """Record that the relay took a mail."""
        if self._trouble is not None or self._earlier is not None:
            self._end(None)

    def _end(self, earlier: RelayTrouble | None) -> None:
        with self._lock:
            trouble, self._trouble, self._earlier = self._trouble, None, earlier
            was_logged, self._is_logged = self._is_logged, False
        if trouble is not None and was_logged:
            _log.info("relay_recovered", since=trouble.since.isoformat())
