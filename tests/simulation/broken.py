"""Models that are broken on purpose, each in one thing. The simulation must find every one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from delivery.records.pipeline.accept import Acceptance, IncomingMessage
from delivery.rules.transitions import Transition
from delivery.rules.worker_deaths import JournalEntry
from delivery.vocabulary import State
from tests.simulation.model import Model
from tests.simulation.store import ClaimedRow, DueQuery, StepRun


class WithoutFence(Model):
    """An outcome counts for any attempt, at any time."""

    def passes_fence(self, transition: Transition) -> bool:
        """Return True for every recipient that exists."""
        return transition.recipient_id in self.rows


class FencedByStateAlone(Model):
    """The fence does not compare the number of the attempt."""

    def passes_fence(self, transition: Transition) -> bool:
        """Return whether the state fits, so that a late attempt overwrites the one under way."""
        return self.rows[transition.recipient_id].state is transition.before


class WithoutFlag(Model):
    """No possible duplicate is flagged."""

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool) -> list[ClaimedRow]:
        """Claim, and reset the flags."""
        before = dict(self.rows)
        claimed = super().claim(run, recipients, is_isolated=is_isolated)
        for each in claimed:
            number = each.attempt.recipient_id
            self.update_recipients([number], possibly_duplicated=before[number].possibly_duplicated)
        return claimed


class ClaimingTheClaimed(Model):
    """A second bell claims recipients that another run has claimed."""

    def is_claimable(self, number: int, run: StepRun) -> bool:
        """Return whether the recipient is claimable or claimed."""
        row = self.rows.get(number)
        return super().is_claimable(number, run) or (row is not None and row.state is State.CLAIMED)


class TrustingMissingJournals(Model):
    """A journal that cannot be read counts as an empty one."""

    def journal_of(self, worker: int, machine: int) -> Mapping[tuple[int, int], JournalEntry] | None:
        """Return the journal, or an empty one."""
        return super().journal_of(worker, machine) or {}


class WithoutHold(Model):
    """A flagged message is delivered without a review."""

    def decide(self, message_ids: Sequence[UUID]) -> None:
        """Decide the recipients as if no rule flagged anything."""
        original, self.settings = self.settings, self.settings.model_copy(update={"hold_phrases": ""})
        super().decide(message_ids)
        self.settings = original


class WithoutKey(Model):
    """The key is stored too late to recognize a repetition."""

    def accept_one(self, message: IncomingMessage, before: Mapping[UUID, IncomingMessage]) -> Acceptance:
        """Store the message without looking at its key."""
        without_keys = {key: replace(each, idempotency_key=None) for key, each in before.items()}
        known, self.incoming = self.incoming, without_keys
        try:
            return super().accept_one(message, without_keys)
        finally:
            self.incoming = {**known, **self.incoming}


class WithoutCounters(Model):
    """The counters of a message never change."""

    def update_counters(self, transition: Transition) -> None:
        """Count nothing."""


class WithoutLetters(Model):
    """Inbox letters are written in a transaction of their own, which fails."""

    def apply_transitions(self, transitions: Sequence[Transition]) -> list[int]:
        """Apply the transitions, and lose the letters."""
        before = self.letters.copy()
        applied = super().apply_transitions(transitions)
        self.letters = before
        return applied


class WithoutLeaseExpiry(Model):
    """A claim outlives its lease."""

    def expire_leases(self, recipients: Sequence[int], machine: int) -> None:
        """Do nothing."""


class WithoutSweep(Model):
    """Only bells start steps."""

    def due(self, query: DueQuery) -> list[UUID] | list[int]:
        """Return nothing."""
        return super().due(query)[:0]


BROKEN: tuple[type[Model], ...] = (
    WithoutFence,
    FencedByStateAlone,
    WithoutFlag,
    ClaimingTheClaimed,
    TrustingMissingJournals,
    WithoutHold,
    WithoutKey,
    WithoutCounters,
    WithoutLetters,
    WithoutLeaseExpiry,
    WithoutSweep,
)
