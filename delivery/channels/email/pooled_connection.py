"""A place in the pool: a connection to the relay that is opened when a mail needs it and kept for the next one."""

import re
import smtplib
import ssl
from functools import partial

from delivery.channels.email.connection import CLOSING, HANGING_UP, Connection, RefusedByRelay, error_text
from delivery.channels.email.relay import read_relay
from delivery.settings import Settings

_RESET_TIMEOUT_S = 2.0
_CROWDED_WORDS = re.compile(r"too many|connection limit|concurrent", re.IGNORECASE)


class NoConnection(Exception):  # noqa: N818 - a fact about the relay, not an error of ours
    """The relay cannot be reached, or refused us before it heard of the mail. `words` is its reply, or the error."""

    def __init__(self, words: str, code: int | None = None) -> None:
        self.words = words
        self.is_lasting = code is not None and code >= 500
        self.is_crowded = code == CLOSING
        super().__init__(words)


class PooledConnection:
    """One connection to the relay, opened when a mail needs it and kept for the next one."""

    def __init__(self, settings: Settings, context: ssl.SSLContext | None) -> None:
        self._open = partial(Connection, read_relay(settings.smtp_url), context, settings.mail_domain)
        self._mails_limit = settings.smtp_mails_per_connection
        self.connection: Connection | None = None
        self.generation = 0
        """How often the pool had been reduced when this connection was lent."""

    @property
    def is_worn(self) -> bool:
        """Whether the next mail needs a new connection."""
        return self.connection is None or self.connection.is_worn(self._mails_limit)

    def connect(self, timeout_s: float) -> tuple[Connection, bool]:
        """Return the connection, and whether it was used before. Raises `NoConnection`."""
        if self.connection is not None and not self.is_worn:
            return self.connection, True
        self.quit()
        try:
            self.connection = self._open(timeout_s)
        except smtplib.SMTPResponseException as error:
            raise NoConnection(error_text(error), error.smtp_code) from error
        except (OSError, smtplib.SMTPException, UnicodeError) as error:  # The last: a host that is no DNS name.
            raise NoConnection(error_text(error)) from error
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


def is_crowded(refusal: RefusedByRelay) -> bool:
    """Return whether the relay closes a connection because it has too many, at whatever stage."""
    return refusal.code == CLOSING and _CROWDED_WORDS.search(refusal.detail) is not None
