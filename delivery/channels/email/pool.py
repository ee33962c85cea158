"""The lines to the relay: as many as mails may be sent at once, each in the hands of one thread for one mail."""

import smtplib
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from delivery.channels.email.connection import HANGING_UP, Connection, RefusedByRelay
from delivery.channels.email.relay import read_relay
from delivery.settings import Settings

_RESET_TIMEOUT_S = 2.0


class PoolTimeout(Exception):  # noqa: N818 - it says how things are at the relay
    """All lines were taken for as long as this attempt may last."""


class PooledConnection:
    """One connection to the relay: opened when a mail needs it, and kept for the next."""

    def __init__(self, settings: Settings, context: ssl.SSLContext | None) -> None:
        self._dial = partial(Connection, read_relay(settings.smtp_url), context, settings.mail_domain)
        self.connection: Connection | None = None

    @property
    def is_worn(self) -> bool:
        """Say whether the next mail needs a new connection."""
        return self.connection is None or self.connection.is_worn

    def connect(self, timeout_s: float) -> tuple[Connection, bool]:
        """Give the connection, and whether it was used before. Raises `OSError` or `SMTPException`."""
        if self.connection is not None and not self.connection.is_worn:
            return self.connection, True
        self.drop()
        self.connection = self._dial(timeout_s)
        return self.connection, False

    def reset(self, code: int) -> None:
        """Leave the connection ready for the next mail after an answer with this code."""
        try:
            if code in HANGING_UP or self.connection is None:
                self.drop()
            else:
                self.connection.command("RSET", _RESET_TIMEOUT_S)
        except (OSError, smtplib.SMTPException, RefusedByRelay):
            self.drop()

    def drop(self) -> None:
        """Close the connection, if there is one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.smtp.close()


class SmtpPool:
    """Shared by all hands of a worker, so that those who claim or record hold no connection meanwhile."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Made once: reading the certificates of the machine takes 40 ms of processor time (measured).
        self._context = None if read_relay(settings.smtp_url).scheme == "smtp" else ssl.create_default_context()
        self._turns = threading.BoundedSemaphore(settings.smtp_concurrency)
        self._lock = threading.Lock()
        self._kept: deque[PooledConnection] = deque()

    @contextmanager
    def borrow(self, timeout_s: float) -> Iterator[PooledConnection]:
        """Wait for a line that is free, and have it alone. Raises `NoFreeLine`."""
        if not self._turns.acquire(timeout=max(timeout_s, 0.0)):
            raise PoolTimeout
        line = self._take()
        try:
            yield line
        except BaseException:
            line.drop()  # Nobody knows what the relay waits for on it.
            raise
        finally:
            self._keep(line)
            self._turns.release()

    def _take(self) -> PooledConnection:
        """Take the one that was used last: few are used in quiet times, and those are fresh."""
        with self._lock:
            return self._kept.pop() if self._kept else PooledConnection(self._settings, self._context)

    def _keep(self, line: PooledConnection) -> None:
        """Keep it for the next, and hang up the one that nobody has used for longest, once that is too long."""
        with self._lock:
            self._kept.append(line)
            worn = [self._kept.popleft()] if self._kept[0].is_worn else []
        for each in worn:
            each.drop()
