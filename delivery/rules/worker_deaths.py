"""What becomes of an attempt whose worker died, and of a row that workers die of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from delivery.rules.outcomes import Attempt, Outcome, OutcomeKind, interrupted_outcome
from delivery.rules.smtp_replies import classify_reply
from delivery.vocabulary import Channel, Reason

DEATHS_LIMIT = 3
"""After so many workers have died of it, a row is set aside until somebody releases it."""

SUSPECT_FROM = DEATHS_LIMIT - 1
"""After so many, a recipient is tried alone: by then it may have been in bad company, and its last try decides."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What a journal says of an attempt that reached the final dot: the code that answered it, or None before that."""

    code: int | None = None


JournalEntries = Mapping[tuple[int, int], JournalEntry]
"""By the id of the recipient and the number of the attempt."""


def blame(under_way: Sequence[tuple[Attempt, int]]) -> set[int]:
    """Say of which recipients a worker has died, given what it had under way and how many died of each before.

    Whoever was suspect was tried alone, and it is the one; among all others nobody can tell.
    """
    suspects = {attempt.recipient_id for attempt, deaths in under_way if deaths >= SUSPECT_FROM}
    return suspects or {attempt.recipient_id for attempt, _ in under_way}


def after_death(attempt: Attempt, entries: JournalEntries | None, *, deaths: int) -> Outcome:
    """Say how an attempt ended whose worker is dead; `traces` is None where its journal cannot be read.

    `deaths` counts the workers that died of this recipient, this one among them if it did.
    """
    outcome = _ending(attempt, entries)
    if outcome.kind in {OutcomeKind.SENT, OutcomeKind.PERMANENT} or deaths < DEATHS_LIMIT:
        return outcome
    return replace(outcome, reason=Reason.POISONED, is_parked=True)


def after_lease(attempt: Attempt, entries: JournalEntries | None) -> Outcome:
    """Say how an attempt ended that lost its lease: whoever made it may only be frozen, so an answer alone is proof."""
    entry = (entries or {}).get((attempt.recipient_id, attempt.number))
    return (
        interrupted_outcome(attempt)
        if entry is None or entry.code is None
        else classify_reply(entry.code, _words(entry))
    )


def _ending(attempt: Attempt, entries: JournalEntries | None) -> Outcome:
    if entries is None or attempt.channel is Channel.INBOX:
        return interrupted_outcome(attempt)
    entry = entries.get((attempt.recipient_id, attempt.number))
    if entry is None:  # Before the final dot the relay has taken nothing (RFC 5321 4.1.1.4).
        return Outcome(OutcomeKind.DEFERRED)
    return interrupted_outcome(attempt) if entry.code is None else classify_reply(entry.code, _words(entry))


def _words(entry: JournalEntry) -> str:
    return f"{entry.code} (its words were lost with the worker)"
