"""The dialogue with a mail relay over one connection: each answer within its time, each refusal a value."""

import io
import smtplib
import ssl
from collections.abc import Callable, Iterable
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from time import monotonic
from typing import Any

from delivery.channels.email.relay import Relay
from delivery.rules.smtp_replies import LATER_ALTHOUGH_FINAL

# It closes the connection at any stage (RFC 5321 4.2.1).
CLOSING = 421
# The code -1 is that of a broken answer.
HANGING_UP = frozenset({CLOSING, -1})

_MAILS_PER_CONNECTION = 100
_IDLE_LIMIT_S = 30.0
_DETAIL_LIMIT = 500


class RefusedByRelay(Exception):  # noqa: N818 - it is the relay's answer
    """The relay answered with a code that ends this attempt.

    Only an answer about the mailbox or the mail can be final. A 5xx to MAIL or DATA is about us (no login, an unknown
    domain): it must not fail every recipient for good while somebody mends a setting.
    """

    def __init__(self, code: int, answer: bytes, *, is_about_us: bool) -> None:
        self.code = code
        self.detail = words(code, answer)
        self.is_final = code >= 500 and code not in LATER_ALTHOUGH_FINAL and not is_about_us
        super().__init__(code)


class _DeadlineReader(io.RawIOBase):
    """Hears the relay until a deadline; a timeout of the socket alone begins anew with each byte that drips in."""

    def __init__(self, smtp: "_Smtp") -> None:
        self._sock: socket = smtp.sock  # type: ignore[assignment] # smtplib asks for an ear when it is connected
        self._smtp = smtp

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._smtp.hear_until - monotonic()
        if left <= 0:
            raise TimeoutError("the relay took too long to answer")
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


class _Smtp(smtplib.SMTP):
    """smtplib's dialogue, with a deadline for each answer and not for each byte of it."""

    def __init__(self, host: str, port: int, *, local_hostname: str, timeout_s: float, **tls: Any) -> None:
        self.hear_until = monotonic() + timeout_s
        super().__init__(host, port, local_hostname, timeout_s, **tls)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = io.BufferedReader(_DeadlineReader(self))
        return super().getreply()


class _SmtpOverTls(_Smtp, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


class Connection:
    """One connection to the relay, used by one thread at a time."""

    def __init__(self, relay: Relay, context: ssl.SSLContext | None, mail_domain: str, timeout_s: float) -> None:
        self._used_at = monotonic()
        self._mails = 0
        kind, tls = (_SmtpOverTls, {"context": context}) if relay.scheme == "smtps" else (_Smtp, {})
        self.smtp = kind(relay.host, relay.port, local_hostname=mail_domain, timeout_s=timeout_s, **tls)
        try:
            self._introduce(relay, context)
        except BaseException:
            self.smtp.close()
            raise

    def _introduce(self, relay: Relay, context: ssl.SSLContext | None) -> None:
        if self.smtp.sock is not None:
            # Without it the final dot waits 40 ms for the acknowledgement of the mail before it (measured).
            self.smtp.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.smtp.ehlo_or_helo_if_needed()
        if relay.scheme == "smtp+starttls":
            self.smtp.starttls(context=context)
        if relay.user and relay.password:
            self.smtp.login(relay.user, relay.password.get_secret_value())
        self._may_pipeline = self.smtp.has_extn("pipelining")

    @property
    def is_worn(self) -> bool:
        """Say whether a new connection is the safer choice."""
        return self._mails >= _MAILS_PER_CONNECTION or monotonic() - self._used_at > _IDLE_LIMIT_S

    def count(self) -> None:
        """Note that a mail went over it."""
        self._mails += 1
        self._used_at = monotonic()

    def send_envelope(self, sender: str, recipient: str, left_s: Callable[[], float]) -> None:
        """Say whom the mail is from and for, and get leave to send it. Raises `Refused` when it is not given."""
        about_us = {sender: True, recipient: False, "DATA": True}
        if not self._may_pipeline:
            for line, is_about_us in about_us.items():
                self.command(line, left_s(), is_about_us=is_about_us)
            return
        # At once, where the relay can take that (RFC 2920): one packet and one turn to speak instead of three.
        self.send("".join(f"{line}\r\n" for line in about_us).encode("ascii"), left_s())
        refusal, waits_for_mail = self._read_replies(about_us.values(), left_s)
        if refusal is not None:
            if waits_for_mail:  # For one to nobody; it cannot be told otherwise.
                self.smtp.close()
            raise refusal

    def _read_replies(
        self, about_us: Iterable[bool], left_s: Callable[[], float]
    ) -> tuple[RefusedByRelay | None, bool]:
        """Hear the answers to commands that were given at once: the first refusal, and whether the last was none."""
        refusal = latest = None
        for is_about_us in about_us:
            try:
                latest = self._read_refusal(left_s(), is_about_us=is_about_us)
            except (OSError, smtplib.SMTPException):
                if refusal is None:
                    raise
                break  # It hung up after it had refused.
            refusal = refusal or latest
            if latest is not None and latest.code in HANGING_UP:
                break
        return refusal, latest is None

    def command(self, line: str, timeout_s: float, *, is_about_us: bool = True) -> None:
        """Give one command that the relay has to accept. Raises `Refused` when it does not."""
        self.send(f"{line}\r\n".encode("ascii"), timeout_s)
        refusal = self._read_refusal(timeout_s, is_about_us=is_about_us)
        if refusal is not None:
            raise refusal

    def _read_refusal(self, timeout_s: float, *, is_about_us: bool) -> RefusedByRelay | None:
        code, answer = self.read_reply(timeout_s)
        return None if 200 <= code < 400 else RefusedByRelay(code, answer, is_about_us=is_about_us)

    def send(self, what: bytes, timeout_s: float) -> None:
        """Send this within the time, or raise `OSError` or `SMTPException`."""
        if self.smtp.sock is not None:
            self.smtp.sock.settimeout(timeout_s)
        self.smtp.send(what)

    def read_reply(self, timeout_s: float) -> tuple[int, bytes]:
        """Hear a whole answer within the time, or raise `OSError` or `SMTPException`. A broken one has the code -1."""
        self.smtp.hear_until = monotonic() + timeout_s
        return self.smtp.getreply()


def words(code: int, answer: bytes) -> str:
    """Give the words of an answer, fit to be stored."""
    return storable(f"{code} {answer.decode('utf-8', 'replace')}")


def storable(text: str) -> str:
    """Cut a stranger's words to a bearable length, and take out NUL, which PostgreSQL refuses."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_DETAIL_LIMIT]
