"""What follows for the attempts of a crashed worker, and for a recipient that workers crash on.

In names and in columns, `deaths` are crashes of workers on a message or a recipient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from delivery.rules.outcomes import Attempt, Outcome, OutcomeKind, interrupted_outcome
from delivery.rules.smtp_replies import classify_reply
from delivery.vocabulary import Channel, Reason

DEATHS_LIMIT = 3
"""When so many workers have crashed on a message or recipient, it is parked until an operator releases it."""

SUSPECT_FROM = DEATHS_LIMIT - 1
"""After so many crashes a recipient is a suspect and is tried alone, so that the next crash identifies the cause."""

LOST_HOST_WAIT = timedelta(seconds=20)
"""How long a mail waits whose worker was lost with its host. By then it sends nothing more (`delivery/life_sign.py`).

The relay may have the mail and may still be busy with it, so it is flagged as a possible duplicate."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What a journal records of an attempt that reached the final dot: the reply's code, None before the reply."""

    code: int | None = None


JournalEntries = Mapping[tuple[int, int], JournalEntry]
"""Journal entries by recipient id and attempt number."""


def blame(under_way: Sequence[tuple[Attempt, int]]) -> set[int]:
    """Return the recipients to count a worker's crash against.

    `under_way` has the worker's attempts, each with the number of earlier crashes on its recipient. Suspects are tried
    alone, so the crash counts against a suspect if there was one, else against each of the recipients.
    """
    suspects = {attempt.recipient_id for attempt, deaths in under_way if deaths >= SUSPECT_FROM}
    return suspects or {attempt.recipient_id for attempt, _ in under_way}


def after_death(attempt: Attempt, entries: JournalEntries | None, *, deaths: int) -> Outcome:
    """Return the outcome of an attempt whose worker crashed. `entries` is None when its journal cannot be read.

    `deaths` counts the workers that crashed on this recipient, including this one if the crash was counted.
    """
    outcome = _ending(attempt, entries)
    if outcome.kind in {OutcomeKind.SENT, OutcomeKind.PERMANENT} or deaths < DEATHS_LIMIT:
        return outcome
    return replace(outcome, reason=Reason.POISONED, is_parked=True)


def after_lease(attempt: Attempt, entries: JournalEntries | None) -> Outcome:
    """Return the outcome of an attempt that lost its lease.

    Its worker may only be frozen and may still send, so only a recorded reply proves an outcome.
    """
    return _outcome_of(attempt, (entries or {}).get((attempt.recipient_id, attempt.number)))


def _ending(attempt: Attempt, entries: JournalEntries | None) -> Outcome:
    if attempt.channel is Channel.INBOX:
        return interrupted_outcome(attempt)
    if entries is None:
        return replace(interrupted_outcome(attempt), due_in=LOST_HOST_WAIT)
    entry = entries.get((attempt.recipient_id, attempt.number))
    if entry is None:  # Before the final dot the relay has taken nothing (RFC 5321 4.1.1.4).
        return Outcome(OutcomeKind.DEFERRED)
    return _outcome_of(attempt, entry)


def _outcome_of(attempt: Attempt, entry: JournalEntry | None) -> Outcome:
    if entry is None or entry.code is None:
        return interrupted_outcome(attempt)
    return classify_reply(entry.code, None)
