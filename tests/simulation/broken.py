"""Models that are broken on purpose, each in one thing: whoever turns the machine on one has to notice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from delivery.records.pipeline.accept import Acceptance, IncomingMessage
from delivery.rules.transitions import Transition
from delivery.rules.worker_deaths import JournalEntry
from delivery.vocabulary import State
from tests.simulation.model import Model
from tests.simulation.store import ClaimedRow, Question, StepRun


class WithoutFence(Model):
    """An outcome counts whoever brings it, and whenever."""

    def is_entitled(self, move: Transition) -> bool:
        """Let everybody write."""
        return move.recipient_id in self.rows


class FencedByStateAlone(Model):
    """The number of the attempt is not asked for."""

    def is_entitled(self, move: Transition) -> bool:
        """Let a late attempt write over the one that is under way."""
        return self.rows[move.recipient_id].state is move.before


class WithoutFlag(Model):
    """Nobody notes that an attempt ended in the dark."""

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool) -> list[ClaimedRow]:
        """Claim, and take the flags back."""
        before = dict(self.rows)
        claimed = super().claim(run, recipients, is_isolated=is_isolated)
        for each in claimed:
            number = each.attempt.recipient_id
            self.change([number], possibly_duplicated=before[number].possibly_duplicated)
        return claimed


class ClaimingTheClaimed(Model):
    """A second bell takes what is in other hands."""

    def is_claimable(self, number: int, run: StepRun) -> bool:
        """Take it."""
        row = self.rows.get(number)
        return super().is_claimable(number, run) or (row is not None and row.state is State.CLAIMED)


class BelievingEveryJournal(Model):
    """A journal that cannot be read is taken for one in which nothing stands."""

    def traces(self, worker: int, machine: int) -> Mapping[tuple[int, int], JournalEntry] | None:
        """Read nothing as nothing done."""
        return super().traces(worker, machine) or {}


class WithoutHold(Model):
    """What a rule flagged goes its way; only afterwards somebody may look."""

    def decide(self, message_ids: Sequence[UUID]) -> None:
        """Place everybody as if nothing was flagged."""
        flagged, self.settings = self.settings, self.settings.model_copy(update={"hold_phrases": ""})
        super().decide(message_ids)
        self.settings = flagged


class WithoutKey(Model):
    """The key is stored too late to recognise a repetition."""

    def take_in(self, arrival: IncomingMessage, before: Mapping[UUID, IncomingMessage]) -> Acceptance:
        """Store it, whatever key it has."""
        nameless = {key: replace(each, idempotency_key=None) for key, each in before.items()}
        known, self.arrivals = self.arrivals, nameless
        try:
            return super().take_in(arrival, nameless)
        finally:
            self.arrivals = {**known, **self.arrivals}


class WithoutCounters(Model):
    """The counters are kept by somebody else, some time."""

    def count(self, move: Transition) -> None:
        """Count nothing."""


class WithoutLetters(Model):
    """Letters are written in a transaction of their own, which did not come to it."""

    def move(self, moves: Sequence[Transition]) -> list[int]:
        """Move, and lose the letters."""
        before = self.letters.copy()
        moved = super().move(moves)
        self.letters = before
        return moved


class WithoutLeaseExpiry(Model):
    """Whoever lost its lease keeps its claim."""

    def expire_leases(self, recipients: Sequence[int], machine: int) -> None:
        """Do nothing."""


class WithoutSweep(Model):
    """Only bells start anything."""

    def due(self, question: Question) -> list[UUID] | list[int]:
        """Find nothing."""
        return super().due(question)[:0]


BROKEN: tuple[type[Model], ...] = (
    WithoutFence,
    FencedByStateAlone,
    WithoutFlag,
    ClaimingTheClaimed,
    BelievingEveryJournal,
    WithoutHold,
    WithoutKey,
    WithoutCounters,
    WithoutLetters,
    WithoutLeaseExpiry,
    WithoutSweep,
)
