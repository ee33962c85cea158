"""What the machine asks of a store, in the units of a transaction, and the values that two stores are compared by.

Time is counted in ticks since the beginning. Workers and recipients are numbered in the order in which they came, so
that two stores call the same thing by the same name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Literal, Protocol
from uuid import UUID

from delivery.records.pipeline.accept import Acceptance, IncomingMessage
from delivery.rules.outcomes import Attempt, Outcome
from delivery.vocabulary import CaseState, Channel, Reason, State, Status, StepName

TICK = timedelta(seconds=15)
"""Every wait in these settings and in the rules is a whole number of these; the clock on the wall gains less."""

MACHINES = 2
Policy = Literal["resend", "hold"]
HELD_PHRASE = "wire the money"
CHOSEN: dict[str, Any] = {
    "bell_grace_s": 15.0,
    "send_deadline_s": 45.0,
    "step_pause_s": 60.0,
    "hold_phrases": HELD_PHRASE,
}
"""The settings under which every wait is a whole number of ticks."""


def ticks(duration: timedelta) -> int:
    """Count the ticks until this has passed."""
    return -(-duration // TICK)


@dataclass(frozen=True, slots=True)
class Wish:
    """What an account holder wants, or what the platform says of the account."""

    channel: Channel = Channel.INBOX
    is_closed: bool = False
    is_asleep: bool = False
    """Its quiet hours end two hours from now, whenever that is asked."""
    is_suspended: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A recipient as it is stored. `due` is in ticks."""

    message_id: UUID
    account_id: UUID
    state: State
    due: int | None
    channel: Channel | None = None
    attempt: int = 0
    reason: Reason | None = None
    deaths: int = 0
    possibly_duplicated: bool = False


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as it is stored, with its case. `expires` is in ticks."""

    key: str | None
    open_count: int
    good_count: int = 0
    status: Status = Status.PENDING
    is_sent: bool = False
    is_decided: bool = False
    has_vetting_id: bool = False
    deaths: int = 0
    case: CaseState | None = None
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All that is stored. `letters` counts those in inboxes by recipient."""

    rows: Mapping[int, Row]
    sheets: Mapping[UUID, MessageRow]
    letters: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class PendingBell:
    """A bell for one message or one recipient; the broker may carry several as one."""

    step: StepName
    about: UUID | int


def in_order(bells: Iterable[PendingBell]) -> list[PendingBell]:
    """Sort bells: in which order one step rings them is nobody's concern."""
    return sorted(bells, key=lambda bell: (bell.step, str(bell.about)))


@dataclass(frozen=True, slots=True)
class StepRun:
    """One run of a step in one worker: the same run claims with the same token."""

    worker: int
    number: int


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """An attempt that may be made now: its outcome, where it needs no network, or the channel to send by."""

    attempt: Attempt
    verdict: Outcome | Channel


class Question(Enum):
    """What the sweep asks."""

    UNDECIDED = "undecided"
    SUSPECT = "suspect"
    UNOPENED = "unopened"
    EXPIRED = "expired"
    LAPSED_INBOX = "lapsed inbox"
    LAPSED_EMAIL = "lapsed email"
    WAITING_INBOX = "waiting inbox"
    WAITING_EMAIL = "waiting email"
    SUSPECT_INBOX = "suspect inbox"
    SUSPECT_EMAIL = "suspect email"

    @classmethod
    def of_leases(cls) -> tuple["Question", ...]:
        """Give those about attempts that nobody answers for any more."""
        return cls.LAPSED_INBOX, cls.LAPSED_EMAIL

    @classmethod
    def of_retries(cls) -> tuple["Question", ...]:
        """Give those about attempts to be made."""
        return cls.WAITING_INBOX, cls.WAITING_EMAIL, *cls.of_suspects()

    @classmethod
    def of_suspects(cls) -> tuple["Question", ...]:
        """Give those about attempts that are made alone."""
        return cls.SUSPECT_INBOX, cls.SUSPECT_EMAIL


class Store(Protocol):
    """The records and the steps on them. Each call is one transaction, or as many as its step has."""

    def enroll(self, account_id: UUID, wish: Wish) -> None:
        """Create an account, or note what is wanted now."""

    def register(self, worker: int) -> None:
        """Let a worker be known. Its journal lies on the machine `worker % MACHINES`."""

    def let_pass(self, passed: int) -> None:
        """Let so many ticks go by."""

    def accept(self, arrivals: Sequence[IncomingMessage]) -> dict[UUID, Acceptance]:
        """Take these messages in, in one transaction."""

    def decide(self, message_ids: Sequence[UUID]) -> None:
        """Place the recipients of these messages."""

    def vet(self, message_ids: Sequence[UUID]) -> None:
        """Open the cases of these messages."""

    def close_case(self, message_id: UUID, state: CaseState) -> bool:
        """Decide the case of this message; answer whether there was one that was open."""

    def expire_reviews(self, message_ids: Sequence[UUID]) -> None:
        """Close the cases of these messages whose time is over."""

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool) -> list[ClaimedRow]:
        """Claim those of these recipients that may be tried now, beside others or alone; ask their preferences."""

    def note(self, worker: int, attempt: Attempt, code: int | None) -> None:
        """Note in the worker's journal that the final dot is near (no code), or how it was answered."""

    def record(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Record how an attempt ended; answer whether its writer was still entitled to."""

    def expire_leases(self, recipients: Sequence[int], machine: int) -> None:
        """End those attempts at these recipients whose lease ran out, as far as this machine knows."""

    def recover_worker(self, worker: int, machine: int) -> None:
        """End what this worker had under way, as far as this machine knows."""

    def begin_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Note that the sweep of this worker works on these."""

    def end_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Note that it survived."""

    def postpone_messages(self, message_ids: Sequence[UUID]) -> None:
        """Keep the sweep from these: a step broke on them."""

    def postpone_recipients(self, recipients: Sequence[int]) -> None:
        """Keep the sweep from these: a step broke on them."""

    def release(self, message_id: UUID) -> int:
        """Let what is parked of this message be tried again; answer how many recipients that are."""

    def due(self, question: Question) -> list[UUID] | list[int]:
        """Answer a question of the sweep, in order."""

    def rung(self) -> list[PendingBell]:
        """Give the bells that were rung since this was last asked, in the order of their words."""

    def look(self) -> View:
        """Show all that is stored."""
