"""Delivering e-mail to the relay: one recipient for each DATA, so that one answer is about one recipient."""

import re
import smtplib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic

from delivery.attempt_journal import AttemptJournal, AttemptKey, NoJournal
from delivery.channels.email.connection import CLOSING, Connection, RefusedByRelay, storable, words
from delivery.channels.email.message import CannotEncode, ascii_address, compose, envelope_sender
from delivery.channels.email.pool import PooledConnection, PoolTimeout, SmtpPool
from delivery.crash_points import CrashPoint, crash_here
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.smtp_replies import classify_reply
from delivery.settings import Settings
from delivery.unsubscribe_tokens import unsubscribe_address
from delivery.vocabulary import Reason

# What an attempt may take past its deadline: the answer to a final dot that was sent at the last moment. With the time
# to leave the connection in order it is less than settings.LEASE_MARGIN_S, so that no attempt outlives its lease.
_LAST_ANSWER_S = 8.0
_LINE_WITH_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Mail:
    """A letter as it goes out: the relay's command for its address, the wire form, and until when it is tried."""

    claimed: ClaimedDelivery
    recipient: str
    written: bytes
    until: float

    @property
    def entry(self) -> AttemptKey:
        """What the journal calls this attempt."""
        return self.claimed.recipient_id, self.claimed.attempt


class SmtpSender:
    """Sends letters to the relay, at most `smtp_concurrency` at once, whatever number of threads asks."""

    def __init__(
        self, settings: Settings, now: Callable[[], float] = monotonic, *, journal: AttemptJournal | None = None
    ) -> None:
        self._journal = journal or NoJournal()
        self._pool = SmtpPool(settings)
        self._domain = settings.mail_domain
        self._public_url = settings.public_url
        self._pepper = settings.pepper
        self._timeout_s = settings.smtp_timeout_s
        self._deadline_s = settings.send_deadline_s
        self._now = now

    def send(self, claimed: ClaimedDelivery) -> Outcome:
        """Try once to hand this letter to the relay; whatever happens is an outcome."""
        until = self._now() + self._deadline_s
        crash_here(CrashPoint.CONNECT_AHEAD)
        try:
            written = _ended(compose(claimed, self._domain, unsubscribe_url=self._page_of(claimed)))
            address = ascii_address(claimed.address)
        except CannotEncode as error:
            return Outcome(OutcomeKind.PERMANENT, Reason.NOT_EXPRESSIBLE, str(error))
        try:
            with self._pool.borrow(until - self._now()) as pooled:
                return self._send(pooled, _Mail(claimed, f"RCPT TO:<{address}>", written, until))
        except PoolTimeout:
            return Outcome(
                OutcomeKind.TEMPORARY, Reason.TRY_LATER, "the relay was busy with other mails of ours all the time"
            )

    def _send(self, pooled: PooledConnection, mail: _Mail) -> Outcome:
        try:
            connection = self._send_envelope(pooled, mail)
            # Until the final dot the relay has taken nothing (RFC 5321 4.1.1.4).
            connection.send(_LINE_WITH_LEADING_DOT.sub(b"..", mail.written), self._remaining(mail.until))
            self._remaining(mail.until)
            self._journal.record_data_end(mail.entry)
            crash_here(CrashPoint.DATA_END_AHEAD)
        except RefusedByRelay as refusal:
            return _refused(pooled, refusal)
        except (OSError, smtplib.SMTPException) as error:
            pooled.drop()
            return Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, _describe(error))
        return self._finish(pooled, connection, mail)

    def _page_of(self, claimed: ClaimedDelivery) -> str | None:
        return unsubscribe_address(self._public_url, claimed.account_id, claimed.read_at, self._pepper)

    def _send_envelope(self, pooled: PooledConnection, mail: _Mail) -> Connection:
        """Say whom the mail is from and for, and get leave to send it; a kept connection may have died meanwhile."""
        left = partial(self._remaining, mail.until)
        connection, is_kept = pooled.connect(left())
        sender = f"MAIL FROM:<{envelope_sender(mail.claimed.recipient_id, self._domain)}>"
        try:
            connection.send_envelope(sender, mail.recipient, left)
        except (smtplib.SMTPServerDisconnected, ConnectionError, RefusedByRelay) as error:
            # Before it hangs up on an idle connection a relay says 421, and that is what we hear first.
            if not is_kept or (isinstance(error, RefusedByRelay) and error.code != CLOSING):
                raise
            pooled.drop()
            connection, _ = pooled.connect(left())
            connection.send_envelope(sender, mail.recipient, left)
        return connection

    def _finish(self, pooled: PooledConnection, connection: Connection, mail: _Mail) -> Outcome:
        """Send the final dot. From here on, silence means that nobody knows whether the relay has it (RFC 1047)."""
        patience_s = max(mail.until - self._now(), min(self._timeout_s, _LAST_ANSWER_S))
        ends_at = self._now() + patience_s  # For both: a relay that reads no more makes us wait with the dot itself.
        try:
            connection.send(b".\r\n", patience_s)
            crash_here(CrashPoint.DATA_END_SENT)
            code, answer = connection.read_reply(ends_at - self._now())
            crash_here(CrashPoint.DATA_END_ANSWERED)
        except (OSError, smtplib.SMTPException) as error:
            pooled.drop()
            return Outcome(OutcomeKind.UNKNOWN, Reason.INTERRUPTED, _describe(error))
        self._note_answer(mail, code)
        outcome = classify_reply(code, words(code, answer))
        if outcome.kind is OutcomeKind.SENT:
            connection.count()
        elif outcome.kind is OutcomeKind.UNKNOWN:
            pooled.drop()
        else:
            pooled.reset(code)
        return outcome

    def _note_answer(self, mail: _Mail, code: int) -> None:
        # Without this note a death before the outcome is recorded costs a second copy, with a flag; nothing is lost.
        with suppress(OSError):
            self._journal.record_reply(mail.entry, code)

    def _remaining(self, until: float) -> float:
        """Say how long the next command may take. Raises `TimeoutError` past the deadline of the attempt."""
        left = until - self._now()
        if left <= 0:
            raise TimeoutError("the attempt ran past its deadline")
        return min(self._timeout_s, left)


def _ended(mail: bytes) -> bytes:
    """End the last line: the final dot stands on a line of its own (RFC 5321 4.5.2)."""
    return mail if mail.endswith(b"\r\n") else mail + b"\r\n"


def _refused(pooled: PooledConnection, refusal: RefusedByRelay) -> Outcome:
    """Leave the connection ready for the next mail, and say what the refusal means for this one."""
    pooled.reset(refusal.code)
    if refusal.is_final:
        return Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED, refusal.detail)
    return Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, refusal.detail)


def _describe(error: Exception) -> str:
    return storable(f"{type(error).__name__}: {error}")
