"""The SMTP dialogue over one connection to the relay: every reply has a deadline, and every refusal is an exception."""

import io
import smtplib
import ssl
from collections.abc import Callable, Iterable
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from time import monotonic
from typing import Any

from delivery.channels.email.relay import Relay
from delivery.rules.smtp_replies import LATER_ALTHOUGH_FINAL

CLOSING = 421
"""The code with which a relay announces, at any stage, that it closes the connection (RFC 5321 4.2.1)."""

HANGING_UP = frozenset({CLOSING, -1})
"""Codes after which a connection cannot be used any more; -1 is smtplib's code for an unreadable reply."""

_MAILS_PER_CONNECTION = 100
_IDLE_LIMIT_S = 30.0
_DETAIL_LIMIT = 500


class RefusedByRelay(Exception):  # noqa: N818 - it is the relay's answer
    """The relay replied with a code that ends this attempt. `detail` is the reply, for operators.

    Only a reply about the mailbox or the mail can be final. A 5xx to MAIL or DATA is about us (no login, an unknown
    domain): it must not fail every recipient permanently until an operator corrects a setting.
    """

    def __init__(self, code: int, reply: bytes, *, is_about_us: bool) -> None:
        self.code = code
        self.detail = reply_text(code, reply)
        self.is_final = code >= 500 and code not in LATER_ALTHOUGH_FINAL and not is_about_us
        super().__init__(code)


class _DeadlineReader(io.RawIOBase):
    """Reads from the relay until a deadline. A socket's own timeout would begin again with each byte that arrives."""

    def __init__(self, smtp: "_Smtp") -> None:
        self._sock: socket = smtp.sock  # type: ignore[assignment] # smtplib makes a reader once it is connected
        self._smtp = smtp

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        remaining_s = self._smtp.read_until - monotonic()
        if remaining_s <= 0:
            raise TimeoutError("the relay took too long to reply")
        self._sock.settimeout(remaining_s)
        return self._sock.recv_into(buffer)


class _Smtp(smtplib.SMTP):
    """smtplib's client, with a deadline for each reply instead of a timeout for each byte of it."""

    def __init__(self, host: str, port: int, *, local_hostname: str, timeout_s: float, **tls: Any) -> None:
        self.read_until = monotonic() + timeout_s
        super().__init__(host, port, local_hostname, timeout_s, **tls)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = io.BufferedReader(_DeadlineReader(self))
        return super().getreply()


class _SmtpOverTls(_Smtp, smtplib.SMTP_SSL):
    """The same client, over TLS from the first byte."""


class Connection:
    """One connection to the relay, open and logged in. One thread at a time uses it.

    Raises `OSError` or `SMTPException` when it cannot be opened within the timeout.
    """

    def __init__(self, relay: Relay, context: ssl.SSLContext | None, mail_domain: str, timeout_s: float) -> None:
        self._used_at = monotonic()
        self._mails = 0
        kind, tls = (_SmtpOverTls, {"context": context}) if relay.scheme == "smtps" else (_Smtp, {})
        self.smtp = kind(relay.host, relay.port, local_hostname=mail_domain, timeout_s=timeout_s, **tls)
        try:
            self._log_in(relay, context)
        except BaseException:
            self.smtp.close()
            raise

    def _log_in(self, relay: Relay, context: ssl.SSLContext | None) -> None:
        if self.smtp.sock is not None:
            # Without this the final dot waits 40 ms for the acknowledgement of the mail before it (measured).
            self.smtp.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.smtp.ehlo_or_helo_if_needed()
        if relay.scheme == "smtp+starttls":
            self.smtp.starttls(context=context)
        if relay.user and relay.password:
            self.smtp.login(relay.user, relay.password.get_secret_value())
        self._may_pipeline = self.smtp.has_extn("pipelining")

    @property
    def is_worn(self) -> bool:
        """Whether it has carried so many mails, or been idle for so long, that a new connection is safer."""
        return self._mails >= _MAILS_PER_CONNECTION or monotonic() - self._used_at > _IDLE_LIMIT_S

    def count(self) -> None:
        """Count a mail that was sent over it."""
        self._mails += 1
        self._used_at = monotonic()

    def send_envelope(self, sender: str, recipient: str, left_s: Callable[[], float]) -> None:
        """Send the SMTP envelope: MAIL, RCPT and DATA. `left_s` returns the seconds that the next command may take.

        Raises `RefusedByRelay`, and `OSError` or `SMTPException` when the connection fails.
        """
        about_us = {sender: True, recipient: False, "DATA": True}
        if not self._may_pipeline:
            for line, is_about_us in about_us.items():
                self.command(line, left_s(), is_about_us=is_about_us)
            return
        # Pipelined where the relay supports it (RFC 2920): one packet and one round trip instead of three.
        self.send("".join(f"{line}\r\n" for line in about_us).encode("ascii"), left_s())
        refusal, waits_for_mail = self._read_replies(about_us.values(), left_s)
        if refusal is not None:
            if waits_for_mail:  # It accepted DATA without a recipient, and no command can take that back.
                self.smtp.close()
            raise refusal

    def _read_replies(
        self, about_us: Iterable[bool], left_s: Callable[[], float]
    ) -> tuple[RefusedByRelay | None, bool]:
        """Read the replies to pipelined commands. Return the first refusal, and whether the last one was accepted."""
        refusal = latest = None
        for is_about_us in about_us:
            try:
                latest = self._read_refusal(left_s(), is_about_us=is_about_us)
            except (OSError, smtplib.SMTPException):
                if refusal is None:
                    raise
                break  # The relay closed the connection after a refusal.
            refusal = refusal or latest
            if latest is not None and latest.code in HANGING_UP:
                break
        return refusal, latest is None

    def command(self, line: str, timeout_s: float, *, is_about_us: bool = True) -> None:
        """Send one command and read its reply. Raises `RefusedByRelay`, and `OSError` or `SMTPException`."""
        self.send(f"{line}\r\n".encode("ascii"), timeout_s)
        refusal = self._read_refusal(timeout_s, is_about_us=is_about_us)
        if refusal is not None:
            raise refusal

    def _read_refusal(self, timeout_s: float, *, is_about_us: bool) -> RefusedByRelay | None:
        code, reply = self.read_reply(timeout_s)
        return None if 200 <= code < 400 else RefusedByRelay(code, reply, is_about_us=is_about_us)

    def send(self, data: bytes, timeout_s: float) -> None:
        """Send these bytes within the timeout. Raises `OSError` or `SMTPException`."""
        if self.smtp.sock is not None:
            self.smtp.sock.settimeout(timeout_s)
        self.smtp.send(data)

    def read_reply(self, timeout_s: float) -> tuple[int, bytes]:
        """Read a whole reply within the timeout; the code of an unreadable one is -1.

        Raises `OSError` or `SMTPException`.
        """
        self.smtp.read_until = monotonic() + timeout_s
        return self.smtp.getreply()


def reply_text(code: int, reply: bytes) -> str:
    """Return a reply's code and text in a form that can be stored."""
    return storable(f"{code} {reply.decode('utf-8', 'replace')}")


def storable(text: str) -> str:
    """Cut a text of the relay to 500 characters, and replace NUL, which PostgreSQL refuses."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_DETAIL_LIMIT]
