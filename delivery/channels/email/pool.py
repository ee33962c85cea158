"""The pool of connections to the relay. A thread borrows one for each mail; `smtp_concurrency` limits their number."""

import smtplib
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from delivery.channels.email.connection import HANGING_UP, Connection, RefusedByRelay
from delivery.channels.email.relay import read_relay
from delivery.setting_checks import UnusableSetting
from delivery.settings import Settings

_RESET_TIMEOUT_S = 2.0


class PoolTimeout(Exception):  # noqa: N818 - a fact about the relay, not an error of ours
    """No connection became free within the time of this attempt."""


class PooledConnection:
    """One connection to the relay, opened when a mail needs it and kept for the next one."""

    def __init__(self, settings: Settings, context: ssl.SSLContext | None) -> None:
        self._open = partial(Connection, read_relay(settings.smtp_url), context, settings.mail_domain)
        self._mails_limit = settings.smtp_mails_per_connection
        self.connection: Connection | None = None

    @property
    def is_worn(self) -> bool:
        """Whether the next mail needs a new connection."""
        return self.connection is None or self.connection.is_worn(self._mails_limit)

    def connect(self, timeout_s: float) -> tuple[Connection, bool]:
        """Return the connection, and whether it was used before. Raises `OSError` or `SMTPException`."""
        if self.connection is not None and not self.is_worn:
            return self.connection, True
        self.quit()
        self.connection = self._open(timeout_s)
        return self.connection, False

    def reset(self, code: int) -> None:
        """Make the connection ready for the next mail after a reply with this code; drop it if that fails."""
        try:
            if code in HANGING_UP or self.connection is None:
                self.drop()
            else:
                self.connection.command("RSET", _RESET_TIMEOUT_S)
        except (OSError, smtplib.SMTPException, RefusedByRelay):
            self.drop()

    def quit(self) -> None:
        """Send QUIT and close the connection, if there is one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.quit()

    def drop(self) -> None:
        """Close the connection, if there is one, without QUIT: the relay expects something else, or does not answer."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.smtp.close()


class SmtpPool:
    """Connections that all threads of a worker share, so that a thread holds none while it claims or records."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Made once: reading the machine's certificates takes 40 ms of processor time (measured).
        self._context = (
            None if read_relay(settings.smtp_url).scheme == "smtp" else _context_trusting(settings.smtp_ca_file)
        )
        self._slots = threading.BoundedSemaphore(settings.smtp_concurrency)
        self._lock = threading.Lock()
        self._kept: deque[PooledConnection] = deque()

    def close(self) -> None:
        """Send QUIT on every connection that no mail uses now."""
        with self._lock:
            kept, self._kept = self._kept, deque()
        for each in kept:
            each.quit()

    @contextmanager
    def borrow(self, timeout_s: float) -> Iterator[PooledConnection]:
        """Wait for a free connection and lend it for the `with` block. Raises `PoolTimeout`."""
        if not self._slots.acquire(timeout=max(timeout_s, 0.0)):
            raise PoolTimeout
        pooled = self._take()
        try:
            yield pooled
        except BaseException:
            pooled.drop()  # What the relay expects next on it is not known.
            raise
        finally:
            self._keep(pooled)
            self._slots.release()

    def _take(self) -> PooledConnection:
        """Take the connection that was used last, so that in quiet times a few connections are used and stay fresh."""
        with self._lock:
            return self._kept.pop() if self._kept else PooledConnection(self._settings, self._context)

    def _keep(self, pooled: PooledConnection) -> None:
        """Keep a connection for the next mail, and close the one that was idle for longest if it is worn."""
        with self._lock:
            self._kept.append(pooled)
            worn = [self._kept.popleft()] if self._kept[0].is_worn else []
        for each in worn:
            each.quit()


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
