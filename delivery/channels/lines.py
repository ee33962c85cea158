"""The lines to the relay: as many as mails may be sent at once, each in the hands of one thread for one mail."""

import queue
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from delivery.channels.dialogue import HANGING_UP, Connection, Refused
from delivery.channels.relay import read_relay
from delivery.settings import Settings

_RESET_TIMEOUT_S = 2.0


class NoFreeLine(Exception):  # noqa: N818 - it says how things are at the relay
    """All lines were taken for as long as this attempt may last."""


class Line:
    """One connection to the relay: opened when a mail needs it, and kept for the next."""

    def __init__(self, settings: Settings, context: ssl.SSLContext | None) -> None:
        self._dial = partial(Connection, read_relay(settings.smtp_url), context, settings.mail_domain)
        self.connection: Connection | None = None

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
        except (OSError, smtplib.SMTPException, Refused):
            self.drop()

    def drop(self) -> None:
        """Close the connection, if there is one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.smtp.close()


class Lines:
    """Shared by all hands of a worker, so that those who claim or record hold no connection meanwhile."""

    def __init__(self, settings: Settings) -> None:
        # Made once: reading the certificates of the machine takes 40 ms of processor time (measured).
        context = None if read_relay(settings.smtp_url).scheme == "smtp" else ssl.create_default_context()
        # The one used last is taken first: in quiet times few connections are kept, and those are fresh.
        self._free: queue.LifoQueue[Line] = queue.LifoQueue()
        for _ in range(settings.smtp_concurrency):
            self._free.put(Line(settings, context))

    @contextmanager
    def borrow(self, timeout_s: float) -> Iterator[Line]:
        """Wait for a line that is free, and have it alone. Raises `NoFreeLine`."""
        try:
            line = self._free.get(timeout=timeout_s)
        except queue.Empty:
            raise NoFreeLine from None
        try:
            yield line
        finally:
            self._free.put(line)
