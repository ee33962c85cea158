"""The SMTP dialogue over one connection to the relay: every reply has a deadline, and every refusal is an exception."""

import io
import smtplib
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterable
from contextlib import suppress
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from time import monotonic
from typing import Any

from delivery.channels.email.relay import Relay
from delivery.channels.socket_keepalives import enable_keepalives
from delivery.rules.smtp_replies import Stage, is_final

CLOSING = 421
"""The code with which a relay announces, at any stage, that it closes the connection (RFC 5321 4.2.1)."""

HANGING_UP = frozenset({CLOSING, -1})
"""Codes after which a connection cannot be used any more; -1 is smtplib's code for an unreadable reply."""

_QUIT_TIMEOUT_S = 1.0
_IDLE_LIMIT_S = 30.0
_DETAIL_LIMIT = 500
# What a reply is about may stand in a later line of it than what is stored.
_JUDGED_LIMIT_BYTES = 8192


class RefusedByRelay(Exception):  # noqa: N818 - it is the relay's answer
    """The relay replied to a command with a code that ends this attempt. `detail` is the reply, for operators.

    `is_final` is true when the refusal is about the recipient or the mail, so that no later attempt can succeed.
    """

    def __init__(self, stage: Stage, code: int, reply: bytes) -> None:
        self.stage = stage
        self.code = code
        whole = whole_text(code, reply)
        self.detail = storable(whole)
        self.is_final = is_final(stage, code, whole)
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
        # By name: the fourth parameter of SMTP_SSL is another one.
        super().__init__(host, port, local_hostname=local_hostname, timeout=timeout_s, **tls)

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
            enable_keepalives(self.smtp.sock)
        self.smtp.ehlo_or_helo_if_needed()
        if relay.scheme == "smtp+starttls":
            self.smtp.starttls(context=context)
            # Both sides forget the first EHLO and the extensions that it offered (RFC 3207 4.2).
            self.smtp.ehlo_or_helo_if_needed()
        if relay.user and relay.password:
            self._authenticate(relay.user, relay.password.get_secret_value())
        self._may_pipeline = self.smtp.has_extn("pipelining")

    def _authenticate(self, user: str, password: str) -> None:
        """Log in. smtplib can send ASCII only; anything else goes by AUTH PLAIN, as UTF-8 (RFC 4616)."""
        if user.isascii() and password.isascii():
            self.smtp.login(user, password)
            return
        if "PLAIN" not in self.smtp.esmtp_features.get("auth", "").upper().split():
            raise smtplib.SMTPNotSupportedError("user or password is not ASCII, and the relay offers no AUTH PLAIN")
        response = b64encode(f"\0{user}\0{password}".encode()).decode("ascii")
        code, reply = self.smtp.docmd("AUTH", f"PLAIN {response}")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, reply)

    @property
    def size_limit(self) -> int | None:
        """The largest mail that the relay takes, in bytes: 0 for any size; None where it does not say (RFC 1870)."""
        if not self.smtp.has_extn("size"):
            return None
        limit = self.smtp.esmtp_features.get("size", "").strip()
        return int(limit) if limit.isascii() and limit.isdecimal() else 0

    def is_worn(self, mails_limit: int) -> bool:
        """Return whether a new connection is safer: after this many mails, or when this one was idle for too long."""
        return self._mails >= mails_limit or monotonic() - self._used_at > _IDLE_LIMIT_S

    def quit(self) -> None:
        """Send QUIT, wait a second at most for the reply, and close (RFC 5321 4.1.1.10)."""
        with suppress(OSError, smtplib.SMTPException):
            self.send(b"QUIT\r\n", _QUIT_TIMEOUT_S)
            self.read_reply(_QUIT_TIMEOUT_S)
        self.smtp.close()

    def count(self) -> None:
        """Count a mail that was sent over it."""
        self._mails += 1
        self._used_at = monotonic()

    def send_envelope(self, sender: str, recipient: str, left_s: Callable[[], float]) -> None:
        """Send the SMTP envelope: MAIL, RCPT and DATA. `left_s` returns the seconds that the next command may take.

        Raises `RefusedByRelay`, and `OSError` or `SMTPException` when the connection fails.
        """
        commands = {Stage.MAIL: sender, Stage.RCPT: recipient, Stage.DATA: "DATA"}
        if not self._may_pipeline:
            for stage, line in commands.items():
                self.command(line, left_s(), stage)
            return
        # Pipelined where the relay supports it (RFC 2920): one packet and one round trip instead of three.
        self.send("".join(f"{line}\r\n" for line in commands.values()).encode("ascii"), left_s())
        refusal, waits_for_mail = self._read_replies(commands, left_s)
        if refusal is not None:
            if waits_for_mail:  # It accepted DATA without a recipient, and no command can take that back.
                self.smtp.close()
            raise refusal

    def _read_replies(self, stages: Iterable[Stage], left_s: Callable[[], float]) -> tuple[RefusedByRelay | None, bool]:
        """Read the replies to pipelined commands. Return the first refusal, and whether the last one was accepted."""
        refusal = latest = None
        for stage in stages:
            try:
                latest = self._read_refusal(stage, left_s())
            except (OSError, smtplib.SMTPException):
                if refusal is None:
                    raise
                break  # The relay closed the connection after a refusal.
            refusal = refusal or latest
            if latest is not None and latest.code in HANGING_UP:
                break
        return refusal, latest is None

    def command(self, line: str, timeout_s: float, stage: Stage = Stage.MAIL) -> None:
        """Send one command and read its reply. Raises `RefusedByRelay`, and `OSError` or `SMTPException`."""
        self.send(f"{line}\r\n".encode("ascii"), timeout_s)
        refusal = self._read_refusal(stage, timeout_s)
        if refusal is not None:
            raise refusal

    def _read_refusal(self, stage: Stage, timeout_s: float) -> RefusedByRelay | None:
        code, reply = self.read_reply(timeout_s)
        return None if 200 <= code < 400 else RefusedByRelay(stage, code, reply)

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


def whole_text(code: int, reply: bytes) -> str:
    """Return a reply's code and text, its lines separated by LF, as they are judged: up to 8 KiB of it."""
    return f"{code} {reply[:_JUDGED_LIMIT_BYTES].decode('utf-8', 'replace')}"


def error_text(error: Exception) -> str:
    """Return what a network error or smtplib says, as a reply where it holds one."""
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return storable(whole_text(error.smtp_code, reply if isinstance(reply, bytes) else str(reply).encode()))
    return storable(f"{type(error).__name__}: {error}")


def storable(text: str) -> str:
    """Cut a text of the relay to 500 characters, and replace NUL, which PostgreSQL refuses."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_DETAIL_LIMIT]
