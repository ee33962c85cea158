"""The pool of connections to the relay. It opens as many as the relay takes, `smtp_concurrency` at most.

When the relay refuses a connection, the pool is halved, but not below the connections that work, and grows by one with
each mail that goes well. When no connection works the relay is away: then no mail is claimed, and one thread tries to
connect until the relay lets us in again.
"""

import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic

from delivery.channels.email.pooled_connection import NoConnection, PooledConnection
from delivery.channels.email.relay import read_relay
from delivery.channels.email.relay_health import RelayHealth
from delivery.mail_settings import THREADS_PER_CONNECTION
from delivery.setting_checks import UnusableSetting
from delivery.settings import Settings

_GROW_AFTER_S = 5.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
# A wrong password, tried every few seconds, gets an address blocked.
_LASTING_PAUSE_S = 60.0


class PoolTimeout(Exception):  # noqa: N818 - a fact about the relay, not an error of ours
    """No connection became free within the time of this attempt."""


class SmtpPool:
    """Connections that all threads of a worker share, so that a thread holds none while it claims or records."""

    def __init__(self, settings: Settings, health: RelayHealth) -> None:
        self._settings = settings
        self._health = health
        # Made once: reading the machine's certificates takes 40 ms of processor time (measured).
        self._context = (
            None if read_relay(settings.smtp_url).scheme == "smtp" else _context_trusting(settings.smtp_ca_file)
        )
        self._lock = threading.Lock()
        self._freed, self._turned = threading.Condition(self._lock), threading.Condition(self._lock)
        self._kept: deque[PooledConnection] = deque()
        self._lent: set[PooledConnection] = set()
        self._turns = 0
        self.limit = settings.smtp_concurrency
        """How many connections may be open now."""
        self._generation = 0
        self._grows_from = 0.0
        self._failures = 0
        self.is_away = False
        """Whether no connection works, so that no mail can be sent now."""
        self._words = ""
        self._is_closed = threading.Event()

    def close(self) -> None:
        """Send QUIT on every connection that no mail uses now, and stop trying to connect."""
        self._is_closed.set()
        with self._lock:
            kept, self._kept = self._kept, deque()
        for each in kept:
            each.quit()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait until a mail that is claimed now gets a connection soon; the block claims and sends it.

        Yields False, and then nothing may be claimed, while the relay is away.
        """
        with self._lock:
            self._turned.wait_for(lambda: self.is_away or self._turns < ceil(self.limit * THREADS_PER_CONNECTION))
            is_granted = not self.is_away
            self._turns += is_granted
        try:
            yield is_granted
        finally:
            with self._lock:
                self._turns -= is_granted
                self._turned.notify()

    @contextmanager
    def borrow(self, timeout_s: float) -> Iterator[PooledConnection]:
        """Wait for a free connection and lend it for the `with` block. Raises `PoolTimeout` or `NoConnection`.

        When the block raises `NoConnection`, the pool is reduced; the caller may borrow again unless it `is_away`.
        """
        pooled = self._take(timeout_s)
        try:
            yield pooled
        except NoConnection as refusal:
            pooled.drop()
            self._reduce(pooled, refusal)
            raise
        except BaseException:
            pooled.drop()  # What the relay expects next on it is not known.
            raise
        finally:
            self._keep(pooled)

    def grow(self) -> None:
        """Allow one connection more, because the relay heard of a mail over one, unless it refused one just now."""
        self._failures = 0
        if self.limit < self._settings.smtp_concurrency and monotonic() >= self._grows_from:
            with self._lock:
                self.limit = min(self.limit + 1, self._settings.smtp_concurrency)
                self._notify_all()

    def shrink(self) -> None:
        """Allow half as many connections, but as many as are open, because the relay has too many."""
        with self._lock:
            self._shrink()

    def _take(self, timeout_s: float) -> PooledConnection:
        """Take the connection that was used last, so that in quiet times a few connections are used and stay fresh."""
        with self._lock:
            if not self._freed.wait_for(lambda: self.is_away or len(self._lent) < self.limit, max(timeout_s, 0.0)):
                raise PoolTimeout
            if self.is_away:
                raise NoConnection(self._words)
            pooled = self._kept.pop() if self._kept else PooledConnection(self._settings, self._context)
            pooled.generation = self._generation
            self._lent.add(pooled)
            return pooled

    def _keep(self, pooled: PooledConnection) -> None:
        """Keep a connection for the next mail, and close the one that was idle for longest if it is worn."""
        with self._lock:
            self._lent.discard(pooled)
            if pooled.connection is not None:
                self._kept.append(pooled)
            worn = [self._kept.popleft()] if self._kept and self._kept[0].is_worn else []
            self._freed.notify()
        for each in worn:
            each.quit()

    def _reduce(self, pooled: PooledConnection, refusal: NoConnection) -> None:
        """Shrink once for all connections that were refused together. If none works, the relay is away."""
        with self._lock:
            if pooled.generation == self._generation:
                self._shrink()
            # Those that are connecting now may be the ones that a crowded relay takes.
            others = len(self._kept) + len(self._lent) - 1 if refusal.is_crowded else self._open_count()
            is_lost = not others and not self.is_away
            self.is_away = self.is_away or is_lost
            self._words = refusal.words
            self._notify_all()
        if self.is_away:
            self._health.refused(refusal.words)
        if is_lost:
            threading.Thread(target=self._return, args=(refusal,), name="relay", daemon=True).start()

    def _shrink(self) -> None:
        self._generation += 1
        self.limit = max(1, self._open_count(), self.limit // 2)
        self._grows_from = monotonic() + _GROW_AFTER_S

    def _notify_all(self) -> None:
        self._freed.notify_all()
        self._turned.notify_all()

    def _open_count(self) -> int:
        return len(self._kept) + sum(each.connection is not None for each in self._lent)

    def _return(self, refusal: NoConnection) -> None:
        """Try to connect until the relay lets us in again. Each failure in a row makes the pauses longer."""
        latest = refusal
        try:
            while not self._is_closed.wait(self._pause_s(latest)):
                pooled = PooledConnection(self._settings, self._context)
                try:
                    pooled.connect(self._settings.smtp_timeout_s)
                except NoConnection as again:
                    latest = again
                    self._health.refused(again.words)
                else:
                    self._keep(pooled)
                    self._health.reached()
                    return
        finally:  # After a defect of ours too: the next mail finds the relay away again, or sends.
            with self._lock:
                self.is_away = False
                self._notify_all()

    def _pause_s(self, refusal: NoConnection) -> float:
        self._failures += 1
        longest_s = _LASTING_PAUSE_S if refusal.is_lasting else _LONGEST_PAUSE_S
        return min(longest_s, _FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10))


def check_relay(settings: Settings) -> None:
    """Raise `UnusableSetting` where the file of `smtp_ca_file` holds no certificates."""
    _context_trusting(settings.smtp_ca_file)


def _context_trusting(ca_file: str) -> ssl.SSLContext:
    """Make a context that checks certificate and host name against this file, or against the machine's authorities.

    Raises `UnusableSetting` when the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # An SSLError, when the file holds no certificate, is one too.
        raise UnusableSetting(f"POSTROOM_SMTP_CA_FILE cannot be read as PEM certificates ({error.strerror})") from error
