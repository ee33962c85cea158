"""Delivering e-mail to the relay: one recipient for each DATA, so that one answer is about one recipient."""

import io
import re
import smtplib
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from time import monotonic
from typing import Any

from delivery.channels.mail import NotExpressible, ascii_address, compose, envelope_sender
from delivery.channels.relay import Relay, read_relay
from delivery.crashing import CrashPoint, crash_here
from delivery.journal import NoNotes, Notes
from delivery.records.claims import Letter
from delivery.rules.answers import LATER_ALTHOUGH_FINAL, judge_answer
from delivery.rules.outcomes import Kind, Outcome
from delivery.settings import Settings
from delivery.unsubscribing import unsubscribe_address
from delivery.vocabulary import Reason

_MAILS_PER_CONNECTION = 100
_IDLE_LIMIT_S = 30.0
_DETAIL_LIMIT = 500
# What an attempt may take past its deadline. Together less than settings.LEASE_MARGIN_S, so that no attempt outlives
# its lease: the answer to a final dot that was sent at the last moment, and leaving the connection in order.
_LAST_ANSWER_S = 8.0
_RESET_TIMEOUT_S = 2.0
_LINE_WITH_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
# It closes the connection at any stage (RFC 5321 4.2.1).
_CLOSING = 421


class _Refused(Exception):  # noqa: N818 - it is the relay's answer
    """The relay answered with a code that ends this attempt.

    Only an answer about the mailbox or the mail can be final. A 5xx to MAIL or DATA is about us (no login, an unknown
    domain): it must not fail every recipient for good while somebody mends a setting.
    """

    def __init__(self, code: int, answer: bytes, *, is_about_us: bool) -> None:
        self.code = code
        self.detail = _words(code, answer)
        self.is_final = code >= 500 and code not in LATER_ALTHOUGH_FINAL and not is_about_us
        super().__init__(code)


class _Ear(io.RawIOBase):
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
            self.file = io.BufferedReader(_Ear(self))
        return super().getreply()


class _SmtpOverTls(_Smtp, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


class _Connection:
    """One connection to the relay, used by one thread."""

    def __init__(self, relay: Relay, mail_domain: str, timeout_s: float) -> None:
        self._used_at = monotonic()
        self._mails = 0
        context = ssl.create_default_context()
        kind, tls = (_SmtpOverTls, {"context": context}) if relay.scheme == "smtps" else (_Smtp, {})
        self.smtp = kind(relay.host, relay.port, local_hostname=mail_domain, timeout_s=timeout_s, **tls)
        try:
            self._introduce(relay, context)
        except BaseException:
            self.smtp.close()
            raise

    def _introduce(self, relay: Relay, context: ssl.SSLContext) -> None:
        if self.smtp.sock is not None:
            # Without it the final dot waits 40 ms for the acknowledgement of the mail before it (measured).
            self.smtp.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.smtp.ehlo_or_helo_if_needed()
        if relay.scheme == "smtp+starttls":
            self.smtp.starttls(context=context)
        if relay.user and relay.password:
            self.smtp.login(relay.user, relay.password.get_secret_value())

    @property
    def is_worn(self) -> bool:
        """Say whether a new connection is the safer choice."""
        return self._mails >= _MAILS_PER_CONNECTION or monotonic() - self._used_at > _IDLE_LIMIT_S

    def count(self) -> None:
        """Note that a mail went over it."""
        self._mails += 1
        self._used_at = monotonic()

    def command(self, line: str, timeout_s: float, *, is_about_us: bool = True) -> None:
        """Give one command that the relay has to accept. Raises `_Refused` when it does not."""
        self.say(f"{line}\r\n".encode("ascii"), timeout_s)
        code, answer = self.hear(timeout_s)
        if not 200 <= code < 400:
            raise _Refused(code, answer, is_about_us=is_about_us)

    def say(self, what: bytes, timeout_s: float) -> None:
        """Send this within the time, or raise `OSError` or `SMTPException`."""
        if self.smtp.sock is not None:
            self.smtp.sock.settimeout(timeout_s)
        self.smtp.send(what)

    def hear(self, timeout_s: float) -> tuple[int, bytes]:
        """Hear a whole answer within the time, or raise `OSError` or `SMTPException`. A broken one has the code -1."""
        self.smtp.hear_until = monotonic() + timeout_s
        return self.smtp.getreply()


class SmtpSender:
    """Sends letters to the relay. Each thread keeps a connection of its own."""

    def __init__(self, settings: Settings, now: Callable[[], float] = monotonic, *, notes: Notes | None = None) -> None:
        self._notes = notes or NoNotes()
        self._relay = read_relay(settings.smtp_url)
        self._domain = settings.mail_domain
        self._public_url = settings.public_url
        self._pepper = settings.pepper
        self._timeout_s = settings.smtp_timeout_s
        self._deadline_s = settings.send_deadline_s
        self._now = now
        self._kept = threading.local()

    def send(self, letter: Letter) -> Outcome:
        """Try once to hand this letter to the relay; whatever happens is an outcome."""
        until = self._now() + self._deadline_s
        crash_here(CrashPoint.CONNECT_AHEAD)
        try:
            written = _ended(compose(letter, self._domain, unsubscribe_url=self._page_of(letter)))
            address = ascii_address(letter.address)
        except NotExpressible as error:
            return Outcome(Kind.PERMANENT, Reason.NOT_EXPRESSIBLE, str(error))
        try:
            connection = self._announce(letter, address, until)
            # Until the final dot the relay has taken nothing (RFC 5321 4.1.1.4).
            connection.say(_LINE_WITH_LEADING_DOT.sub(b"..", written), self._remaining(until))
            self._remaining(until)
            self._notes.note_dot((letter.recipient_id, letter.attempt))
            crash_here(CrashPoint.DOT_AHEAD)
        except _Refused as refusal:
            return self._refused(refusal)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            return Outcome(Kind.TEMPORARY, Reason.TRY_LATER, _describe(error))
        return self._finish(connection, until, letter)

    def _page_of(self, letter: Letter) -> str | None:
        return unsubscribe_address(self._public_url, letter.account_id, letter.read_at, self._pepper)

    def _announce(self, letter: Letter, address: str, until: float) -> _Connection:
        """Say whom the mail is from and for, and get leave to send it; a kept connection may have died meanwhile."""
        connection, is_kept = self._connect(until)
        sender = f"MAIL FROM:<{envelope_sender(letter.recipient_id, self._domain)}>"
        try:
            connection.command(sender, self._remaining(until))
        except (smtplib.SMTPServerDisconnected, ConnectionError, _Refused) as error:
            # Before it hangs up on an idle connection a relay says 421, and that is what we hear first.
            if not is_kept or (isinstance(error, _Refused) and error.code != _CLOSING):
                raise
            self._drop()
            connection, _ = self._connect(until)
            connection.command(sender, self._remaining(until))
        connection.command(f"RCPT TO:<{address}>", self._remaining(until), is_about_us=False)
        connection.command("DATA", self._remaining(until))
        return connection

    def _finish(self, connection: _Connection, until: float, letter: Letter) -> Outcome:
        """Send the final dot. From here on, silence means that nobody knows whether the relay has it (RFC 1047)."""
        patience_s = max(until - self._now(), min(self._timeout_s, _LAST_ANSWER_S))
        try:
            connection.say(b".\r\n", patience_s)
            crash_here(CrashPoint.DOT_SENT)
            code, answer = connection.hear(patience_s)
            crash_here(CrashPoint.DOT_ANSWERED)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            return Outcome(Kind.UNKNOWN, Reason.INTERRUPTED, _describe(error))
        self._note_answer(letter, code)
        outcome = judge_answer(code, _words(code, answer))
        if outcome.kind is Kind.SENT:
            connection.count()
        elif outcome.kind is Kind.UNKNOWN:
            self._drop()
        else:
            self._reset(code)
        return outcome

    def _note_answer(self, letter: Letter, code: int) -> None:
        # Without this note a death before the outcome is recorded costs a second copy, with a flag; nothing is lost.
        with suppress(OSError):
            self._notes.note_answer((letter.recipient_id, letter.attempt), code)

    def _refused(self, refusal: _Refused) -> Outcome:
        """Leave the connection ready for the next mail, and say what the refusal means for this one."""
        self._reset(refusal.code)
        if refusal.is_final:
            return Outcome(Kind.PERMANENT, Reason.MAILBOX_REFUSED, refusal.detail)
        return Outcome(Kind.TEMPORARY, Reason.TRY_LATER, refusal.detail)

    def _reset(self, code: int) -> None:
        connection: _Connection | None = getattr(self._kept, "connection", None)
        try:
            if code in {_CLOSING, -1} or connection is None:
                self._drop()
            else:
                connection.command("RSET", _RESET_TIMEOUT_S)
        except (OSError, smtplib.SMTPException, _Refused):
            self._drop()

    def _connect(self, until: float) -> tuple[_Connection, bool]:
        """Give this thread's connection, and whether it was used before."""
        kept: _Connection | None = getattr(self._kept, "connection", None)
        if kept is not None and not kept.is_worn:
            return kept, True
        self._drop()
        self._kept.connection = _Connection(self._relay, self._domain, self._remaining(until))
        return self._kept.connection, False

    def _drop(self) -> None:
        connection: _Connection | None = getattr(self._kept, "connection", None)
        self._kept.connection = None
        if connection is not None:
            connection.smtp.close()

    def _remaining(self, until: float) -> float:
        """Say how long the next command may take. Raises `TimeoutError` past the deadline of the attempt."""
        left = until - self._now()
        if left <= 0:
            raise TimeoutError("the attempt ran past its deadline")
        return min(self._timeout_s, left)


def _ended(mail: bytes) -> bytes:
    """End the last line: the final dot stands on a line of its own (RFC 5321 4.5.2)."""
    return mail if mail.endswith(b"\r\n") else mail + b"\r\n"


def _words(code: int, answer: bytes) -> str:
    return _storable(f"{code} {answer.decode('utf-8', 'replace')}")


def _describe(error: Exception) -> str:
    return _storable(f"{type(error).__name__}: {error}")


def _storable(text: str) -> str:
    """Cut a stranger's words to a bearable length, and take out NUL, which PostgreSQL refuses."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_DETAIL_LIMIT]
