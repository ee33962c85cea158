"""Send mails to the relay. Each mail has one recipient, so that each reply is about one recipient."""

import re
import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic

from delivery.attempt_journal import AttemptJournal, AttemptKey, NoJournal
from delivery.channels.email.connection import CLOSING, Connection, RefusedByRelay, error_text, storable, whole_text
from delivery.channels.email.message import CannotEncode, MailOrigin, ascii_address, compose, envelope_sender
from delivery.channels.email.pool import PoolTimeout, SmtpPool
from delivery.channels.email.pooled_connection import NoConnection, PooledConnection, is_crowded
from delivery.channels.email.relay_health import RelayHealth
from delivery.crash_points import CrashPoint, crash_here
from delivery.life_sign import LifeSign
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.relay_trouble import RelayTrouble
from delivery.rules.smtp_replies import Stage, classify_reply
from delivery.settings import Settings
from delivery.unsubscribe_tokens import unsubscribe_address
from delivery.vocabulary import Reason

# How long an attempt may wait past its deadline for the reply to a final dot that was sent at the last moment. With the
# time to reset the connection it is less than mail_settings.LEASE_MARGIN_S, so that no attempt outlives its lease.
_LAST_REPLY_S = 8.0
_LINE_WITH_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail to send: its RCPT command, its bytes, and the time of the monotonic clock until which it is tried."""

    claimed: ClaimedDelivery
    rcpt_command: str
    content: bytes
    until: float

    @property
    def entry(self) -> AttemptKey:
        """The key of this attempt in the journal."""
        return self.claimed.recipient_id, self.claimed.attempt


class SmtpSender:
    """Sends mails to the relay, at most `smtp_concurrency` at the same time, however many threads use it."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float] = monotonic,
        *,
        journal: AttemptJournal | None = None,
        life_sign: LifeSign | None = None,
    ) -> None:
        self._journal = journal or NoJournal()
        self._life_sign = life_sign
        self._health = RelayHealth()
        self._pool = SmtpPool(settings, self._health)
        self._platform = MailOrigin(settings.mail_domain, settings.public_name, settings.own_names)
        self._public_url = settings.public_url
        self._pepper = settings.pepper
        self._timeout_s = settings.smtp_timeout_s
        self._deadline_s = settings.send_deadline_s
        self._now = now

    def send(self, claimed: ClaimedDelivery) -> Outcome:
        """Try once to send this message to the relay, and return the outcome. Raises for no reply or network error."""
        until = self._now() + self._deadline_s
        crash_here(CrashPoint.CONNECT_AHEAD)
        try:
            content = _end_line(compose(claimed, self._platform, unsubscribe_url=self._page_of(claimed)))
            address = ascii_address(claimed.address)
        except CannotEncode as error:
            return Outcome(OutcomeKind.PERMANENT, Reason.NOT_EXPRESSIBLE, str(error))
        return self._send_over_any(_Mail(claimed, f"RCPT TO:<{address}>", content, until))

    def turn(self) -> AbstractContextManager[bool]:
        """Wait until a mail that is claimed now gets a connection soon. Yields False while the relay is away."""
        return self._pool.turn()

    @property
    def is_away(self) -> bool:
        """Whether the relay lets us in over no connection, so that no mail can be sent now."""
        return self._pool.is_away

    @property
    def trouble(self) -> RelayTrouble | None:
        """Since when the relay takes no mail, and its words; None while it takes mail."""
        return self._health.trouble

    def close(self) -> None:
        """Send QUIT on every idle connection. Mails under way keep theirs."""
        self._pool.close()

    def _send_over_any(self, mail: _Mail) -> Outcome:
        """Send the mail over a connection that works. A connection that is refused is no attempt at the recipient."""
        while True:
            try:
                with self._pool.borrow(mail.until - self._now()) as pooled:
                    return self._send(pooled, mail)
            except PoolTimeout:
                return _untried("all connections to the relay were busy with other mails")
            except NoConnection as refusal:
                if self._pool.is_away:
                    return _untried(refusal.words)

    def _send(self, pooled: PooledConnection, mail: _Mail) -> Outcome:
        try:
            connection = self._send_envelope(pooled, mail)
            # Until the final dot the relay has taken nothing (RFC 5321 4.1.1.4).
            connection.send(_LINE_WITH_LEADING_DOT.sub(b"..", mail.content), self._remaining(mail.until))
            self._remaining(mail.until)
            if self._life_sign is not None and not self._life_sign.is_recent:
                pooled.drop()
                return _untried("the worker lost the database, so that another one may send the mail")
            self._journal.record_data_end(mail.entry)
            crash_here(CrashPoint.DATA_END_AHEAD)
        except RefusedByRelay as refusal:
            return self._refused(pooled, refusal)
        except (OSError, smtplib.SMTPException) as error:
            pooled.drop()
            return Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, error_text(error))
        return self._finish(pooled, connection, mail)

    def _page_of(self, claimed: ClaimedDelivery) -> str | None:
        return unsubscribe_address(self._public_url, claimed.account_id, claimed.read_at, self._pepper, claimed.address)

    def _send_envelope(self, pooled: PooledConnection, mail: _Mail) -> Connection:
        """Send the SMTP envelope. If a kept connection was closed by the relay meanwhile, use a new one."""
        left_s = partial(self._remaining, mail.until)
        connection, is_kept = pooled.connect(left_s())
        mail_command = f"MAIL FROM:<{envelope_sender(mail.claimed.recipient_id, self._platform.mail_domain)}>"
        try:
            connection.send_envelope(_sized(mail_command, connection, mail), mail.rcpt_command, left_s)
        except (smtplib.SMTPServerDisconnected, ConnectionError, RefusedByRelay) as error:
            # A relay sends 421 before it closes an idle connection, so that is the first reply we read.
            if not is_kept or (isinstance(error, RefusedByRelay) and error.code != CLOSING):
                raise
            pooled.drop()
            connection, _ = pooled.connect(left_s())
            connection.send_envelope(_sized(mail_command, connection, mail), mail.rcpt_command, left_s)
        self._pool.grow()
        return connection

    def _finish(self, pooled: PooledConnection, connection: Connection, mail: _Mail) -> Outcome:
        """Send the final dot and read the reply. Without a reply the outcome is unknown (RFC 1047)."""
        patience_s = max(mail.until - self._now(), min(self._timeout_s, _LAST_REPLY_S))
        ends_at = self._now() + patience_s  # For dot and reply together: sending blocks if the relay stops reading.
        try:
            connection.send(b".\r\n", patience_s)
            crash_here(CrashPoint.DATA_END_SENT)
            code, reply = connection.read_reply(ends_at - self._now())
            crash_here(CrashPoint.DATA_END_ANSWERED)
        except (OSError, smtplib.SMTPException) as error:
            pooled.drop()
            return Outcome(OutcomeKind.UNKNOWN, Reason.INTERRUPTED, error_text(error))
        self._record_reply(mail, code)
        outcome = classify_reply(code, whole_text(code, reply))
        outcome = replace(outcome, detail=outcome.detail and storable(outcome.detail))
        if outcome.kind is OutcomeKind.SENT:
            connection.count()
            self._health.took_mail()
        elif outcome.kind is OutcomeKind.UNKNOWN:
            pooled.drop()
        else:
            pooled.reset(code)
            self._note(outcome, code)
        return outcome

    def _refused(self, pooled: PooledConnection, refusal: RefusedByRelay) -> Outcome:
        """Make the connection ready for the next mail, and return the outcome that follows from the refusal.

        Raises `NoConnection` when the relay closes the connection before it heard of the recipient.
        """
        if refusal.code == CLOSING and refusal.stage is Stage.MAIL:
            raise NoConnection(refusal.detail, refusal.code)
        if is_crowded(refusal):
            self._pool.shrink()
        pooled.reset(refusal.code)
        if refusal.is_final:
            return Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED, refusal.detail)
        outcome = Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, refusal.detail)
        self._note(outcome, refusal.code)
        return outcome

    def _note(self, outcome: Outcome, code: int) -> None:
        """Note for operators a refusal that would be final if it were about the recipient: it is about us."""
        if outcome.kind is OutcomeKind.TEMPORARY and code >= 500:
            self._health.refused(outcome.detail or str(code))

    def _record_reply(self, mail: _Mail, code: int) -> None:
        # If this fails and the worker crashes before it commits the outcome, the mail is sent again, flagged.
        with suppress(OSError):
            self._journal.record_reply(mail.entry, code)

    def _remaining(self, until: float) -> float:
        """Return how many seconds the next command may take. Raises `TimeoutError` past the deadline of the attempt."""
        left_s = until - self._now()
        if left_s <= 0:
            raise TimeoutError("the attempt ran past its deadline")
        return min(self._timeout_s, left_s)


def _end_line(mail: bytes) -> bytes:
    """End the last line, so that the final dot is on a line of its own (RFC 5321 4.5.2)."""
    return mail if mail.endswith(b"\r\n") else mail + b"\r\n"


def _sized(mail_command: str, connection: Connection, mail: _Mail) -> str:
    """Declare the size of the mail where the relay asks for it (RFC 1870). Raises `RefusedByRelay` past its limit."""
    limit, size = connection.size_limit, len(mail.content)
    if limit and size > limit:
        refusal = f"5.3.4 The mail has {size} bytes; the relay takes {limit} (SIZE). It was not sent."
        raise RefusedByRelay(Stage.DATA_END, 552, refusal.encode())
    return mail_command if limit is None else f"{mail_command} SIZE={size}"


def _untried(detail: str) -> Outcome:
    return Outcome(OutcomeKind.UNTRIED, Reason.TRY_LATER, detail)
