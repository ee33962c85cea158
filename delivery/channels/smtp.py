"""Delivering e-mail to the relay: one recipient for each DATA, so that one answer is about one recipient."""

import re
import smtplib
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic

from delivery.channels.dialogue import CLOSING, HANGING_UP, Connection, Refused, storable, words
from delivery.channels.mail import NotExpressible, ascii_address, compose, envelope_sender
from delivery.channels.relay import read_relay
from delivery.crashing import CrashPoint, crash_here
from delivery.journal import NoNotes, Notes
from delivery.records.claims import Letter
from delivery.rules.answers import judge_answer
from delivery.rules.outcomes import Kind, Outcome
from delivery.settings import Settings
from delivery.unsubscribing import unsubscribe_address
from delivery.vocabulary import Reason

# What an attempt may take past its deadline. Together less than settings.LEASE_MARGIN_S, so that no attempt outlives
# its lease: the answer to a final dot that was sent at the last moment, and leaving the connection in order.
_LAST_ANSWER_S = 8.0
_RESET_TIMEOUT_S = 2.0
_LINE_WITH_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


class SmtpSender:
    """Sends letters to the relay. Each thread keeps a connection of its own."""

    def __init__(self, settings: Settings, now: Callable[[], float] = monotonic, *, notes: Notes | None = None) -> None:
        self._notes = notes or NoNotes()
        self._relay = read_relay(settings.smtp_url)
        # Made once: reading the certificates of the machine takes 40 ms of processor time (measured).
        self._context = None if self._relay.scheme == "smtp" else ssl.create_default_context()
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
        except Refused as refusal:
            return self._refused(refusal)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            return Outcome(Kind.TEMPORARY, Reason.TRY_LATER, _describe(error))
        return self._finish(connection, until, letter)

    def _page_of(self, letter: Letter) -> str | None:
        return unsubscribe_address(self._public_url, letter.account_id, letter.read_at, self._pepper)

    def _announce(self, letter: Letter, address: str, until: float) -> Connection:
        """Say whom the mail is from and for, and get leave to send it; a kept connection may have died meanwhile."""
        connection, is_kept = self._connect(until)
        sender = f"MAIL FROM:<{envelope_sender(letter.recipient_id, self._domain)}>"
        left = partial(self._remaining, until)
        try:
            connection.announce(sender, f"RCPT TO:<{address}>", left)
        except (smtplib.SMTPServerDisconnected, ConnectionError, Refused) as error:
            # Before it hangs up on an idle connection a relay says 421, and that is what we hear first.
            if not is_kept or (isinstance(error, Refused) and error.code != CLOSING):
                raise
            self._drop()
            connection, _ = self._connect(until)
            connection.announce(sender, f"RCPT TO:<{address}>", left)
        return connection

    def _finish(self, connection: Connection, until: float, letter: Letter) -> Outcome:
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
        outcome = judge_answer(code, words(code, answer))
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

    def _refused(self, refusal: Refused) -> Outcome:
        """Leave the connection ready for the next mail, and say what the refusal means for this one."""
        self._reset(refusal.code)
        if refusal.is_final:
            return Outcome(Kind.PERMANENT, Reason.MAILBOX_REFUSED, refusal.detail)
        return Outcome(Kind.TEMPORARY, Reason.TRY_LATER, refusal.detail)

    def _reset(self, code: int) -> None:
        connection: Connection | None = getattr(self._kept, "connection", None)
        try:
            if code in HANGING_UP or connection is None:
                self._drop()
            else:
                connection.command("RSET", _RESET_TIMEOUT_S)
        except (OSError, smtplib.SMTPException, Refused):
            self._drop()

    def _connect(self, until: float) -> tuple[Connection, bool]:
        """Give this thread's connection, and whether it was used before."""
        kept: Connection | None = getattr(self._kept, "connection", None)
        if kept is not None and not kept.is_worn:
            return kept, True
        self._drop()
        self._kept.connection = Connection(self._relay, self._context, self._domain, self._remaining(until))
        return self._kept.connection, False

    def _drop(self) -> None:
        connection: Connection | None = getattr(self._kept, "connection", None)
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


def _describe(error: Exception) -> str:
    return storable(f"{type(error).__name__}: {error}")
