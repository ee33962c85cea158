"""Hold the limits of addresses and accounts in a worker, and ask the database only about those that get many messages.

A process lets a tenth of each limit pass unasked in an hour, so that most messages cost one look into a dictionary. All
others are counted in the table `tally`, where every process sees them.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from uuid import UUID

import structlog

from delivery.records.database import Database, transaction
from delivery.records.pipeline import tallies
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.rate_windows import RateLimit
from delivery.rules.recipient_limits import HOUR_S, Contacting, Subject, mailbox_of
from delivery.rules.transitions import PendingRecipient, Transition
from delivery.settings import Settings
from delivery.vocabulary import Channel, Reason, State
from tasks.concurrency.unasked_counts import UnaskedCounts

Checked = tuple[ClaimedDelivery, Outcome | Channel]
"""A claimed recipient, and how its attempt ends without a network or the channel to send it by."""

_CONTEXT = b"postroom recipient limit"
_DETAIL = "Its address or account got as many messages within an hour as the settings allow."
_SUBJECT_BYTES = 20
_UNASKED_SHARE = 10
_LINES_APART_S = 60.0
_log = structlog.get_logger()


class OneLimit:
    """The limit of one kind of subject: the amount of the settings, and what passes in this process unasked."""

    def __init__(self, amount: int, clock: Callable[[], float]) -> None:
        self.rate_limit = RateLimit(amount, HOUR_S)
        self.unasked = UnaskedCounts(amount // _UNASKED_SHARE, clock)

    def is_on(self) -> bool:
        """Check whether there is a limit."""
        return self.rate_limit.amount > 0


class RecipientLimits:
    """Counts whom this process is about to reach. Threads share one."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._clock = clock
        self._mails = OneLimit(settings.mails_per_address_per_hour, clock)
        self._messages = OneLimit(settings.messages_per_account_per_hour, clock)
        self._key = hmac.digest(settings.pepper.get_secret_value().encode(), _CONTEXT, hashlib.sha256)
        self._next_line_at = self._next_tidying_at = clock()

    def check(self, checked: Sequence[Checked]) -> list[Checked]:
        """Return these, with a deferral for each recipient that would be reached now and has no room."""
        asking = [each for claimed, how in checked if (each := self._count(claimed, how))]
        waits = self._ask(asking) if asking else {}
        return [(claimed, _deferral(waits.get(claimed.recipient_id), how)) for claimed, how in checked]

    def defer_inboxes(self, decided: list[Transition], pending: Sequence[PendingRecipient]) -> list[Transition]:
        """Return these transitions; those into an inbox that has no room wait instead."""
        if not self._messages.is_on():
            return decided
        delivered = {each.recipient_id for each in decided if each.after is State.DELIVERED}
        add = self._messages.unasked.add
        counted = [(each, add(each.account_id)) for each in pending if each.recipient_id in delivered]
        asking = [
            Contacting(each.recipient_id, (self._of_account(each.account_id, told),))
            for each, told in counted
            if told is not None
        ]
        waits = self._ask(asking) if asking else {}
        return [_defer(each, waits.get(each.recipient_id)) for each in decided] if waits else decided

    def _count(self, claimed: ClaimedDelivery, how: Outcome | Channel) -> Contacting | None:
        """Count a recipient that is about to be reached. Return what to ask about; None when it passes."""
        address = claimed.address if how is Channel.EMAIL and self._mails.is_on() else None
        is_inbox = isinstance(how, Outcome) and how.kind is OutcomeKind.SENT and how.channel is Channel.INBOX
        is_counted = self._messages.is_on() and (how is Channel.EMAIL or is_inbox)
        digest = self._digest(address) if address else b""
        by_address = self._mails.unasked.add(digest) if address else None
        by_account = self._messages.unasked.add(claimed.account_id) if is_counted else None
        if by_address is None and by_account is None:
            return None
        if address and by_address is None:
            self._mails.unasked.take_back(digest)
        if is_counted and by_account is None:
            self._messages.unasked.take_back(claimed.account_id)
        subjects = [self._of_account(claimed.account_id, by_account or 0)] if is_counted else []
        subjects += [Subject(digest, self._mails.rate_limit, by_address or 0)] if address else []
        return Contacting(claimed.recipient_id, tuple(subjects))

    def _of_account(self, account_id: UUID, unasked: int) -> Subject:
        return Subject(account_id.bytes, self._messages.rate_limit, unasked)

    def _digest(self, address: str) -> bytes:
        return hmac.digest(self._key, mailbox_of(address).encode(), hashlib.sha256)[:_SUBJECT_BYTES]

    def _ask(self, asking: Sequence[Contacting]) -> dict[int, timedelta]:
        """Count these in the database, and return the waits of those that have no room."""
        now = self._clock()
        with transaction(self._database) as db:
            waits = tallies.take(db, asking)
            if now >= self._next_tidying_at:
                self._next_tidying_at = now + HOUR_S
                tallies.delete_ended(db)
        if waits and now >= self._next_line_at:
            self._next_line_at = now + _LINES_APART_S
            _log.warning("recipient_limit_reached", recipients=len(waits), what_now="they wait until there is room")
        return waits


class NoRecipientLimits(RecipientLimits):
    """No limits."""

    def __init__(self) -> None:
        """Hold nothing."""

    def check(self, checked: Sequence[Checked]) -> list[Checked]:
        """Return these."""
        return list(checked)

    def defer_inboxes(self, decided: list[Transition], pending: Sequence[PendingRecipient]) -> list[Transition]:  # noqa: ARG002 - the signature of the limits
        """Return these transitions."""
        return decided


def _deferral(wait: timedelta | None, how: Outcome | Channel) -> Outcome | Channel:
    return how if wait is None else Outcome(OutcomeKind.DEFERRED, Reason.TRY_LATER, _DETAIL, due_in=wait)


def _defer(transition: Transition, wait: timedelta | None) -> Transition:
    if wait is None:
        return transition
    return replace(transition, after=State.RETRYING, reason=Reason.TRY_LATER, detail=_DETAIL, due_in=wait)
