"""The protocol of a store, one call per transaction, and the values by which two stores are compared.

Time is counted in ticks since the start. Workers and recipients are numbered in the order in which they were added, so
that two stores use the same number for the same one.
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
"""Every wait in these settings and in the rules is a whole number of ticks. The wall clock gains less between reads."""

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
    """Return the number of ticks in a duration, rounded up."""
    return -(-duration // TICK)


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """The preferences and the status of an account."""

    channel: Channel = Channel.INBOX
    is_closed: bool = False
    is_asleep: bool = False
    """Whether its quiet hours end two hours from now, at whatever time that is read."""
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
    """Everything that is stored. `letters` counts the inbox letters of each recipient."""

    rows: Mapping[int, Row]
    messages: Mapping[UUID, MessageRow]
    letters: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class PendingBell:
    """A bell for one message or one recipient; the broker may carry several as one."""

    step: StepName
    row_id: UUID | int


def sort_bells(bells: Iterable[PendingBell]) -> list[PendingBell]:
    """Sort bells, because a step may ring them in any order."""
    return sorted(bells, key=lambda bell: (bell.step, str(bell.row_id)))


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


class DueQuery(Enum):
    """The queries by which the sweep finds due rows."""

    UNDECIDED = "undecided"
    SUSPECT = "suspect"
    UNOPENED = "unopened"
    EXPIRED_REVIEWS = "expired reviews"
    EXPIRED_LEASES_INBOX = "expired leases inbox"
    EXPIRED_LEASES_EMAIL = "expired leases email"
    WAITING_INBOX = "waiting inbox"
    WAITING_EMAIL = "waiting email"
    SUSPECT_INBOX = "suspect inbox"
    SUSPECT_EMAIL = "suspect email"

    @classmethod
    def of_leases(cls) -> tuple["DueQuery", ...]:
        """Return the queries for attempts whose lease expired."""
        return cls.EXPIRED_LEASES_INBOX, cls.EXPIRED_LEASES_EMAIL

    @classmethod
    def of_retries(cls) -> tuple["DueQuery", ...]:
        """Return the queries for attempts that are due."""
        return cls.WAITING_INBOX, cls.WAITING_EMAIL, *cls.of_suspects()

    @classmethod
    def of_suspects(cls) -> tuple["DueQuery", ...]:
        """Return the queries for attempts that run isolated."""
        return cls.SUSPECT_INBOX, cls.SUSPECT_EMAIL


class Store(Protocol):
    """The records and the steps on them. Each call is one transaction, or as many as its step has."""

    def put_account(self, account_id: UUID, account: SimulatedAccount) -> None:
        """Create an account, or replace its preferences and status."""

    def register(self, worker: int) -> None:
        """Register a worker. Its journal lies on the machine `worker % MACHINES`."""

    def advance_clock(self, passed: int) -> None:
        """Let this many ticks pass."""

    def accept(self, incoming: Sequence[IncomingMessage]) -> dict[UUID, Acceptance]:
        """Accept these messages in one transaction."""

    def decide(self, message_ids: Sequence[UUID]) -> None:
        """Decide the recipients of these messages."""

    def vet(self, message_ids: Sequence[UUID]) -> None:
        """Open the cases of these messages."""

    def close_case(self, message_id: UUID, state: CaseState) -> bool:
        """Close the case of this message. Returns whether it had an open one."""

    def expire_reviews(self, message_ids: Sequence[UUID]) -> None:
        """Close those cases of these messages that have expired."""

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool) -> list[ClaimedRow]:
        """Claim those of these recipients that may be tried now, shared or isolated, and check their preferences."""

    def write_journal(self, worker: int, attempt: Attempt, code: int | None) -> None:
        """Record in the worker's journal that the end of the data is next (no code), or the reply code to it."""

    def record(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Record how an attempt ended. Returns whether the fence let it."""

    def expire_leases(self, recipients: Sequence[int], machine: int) -> None:
        """End those attempts at these recipients whose lease expired, by the journals of this machine."""

    def recover_worker(self, worker: int, machine: int) -> None:
        """End the attempts that this worker had under way, by the journals of this machine."""

    def begin_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Record that the sweep of this worker tries these messages."""

    def end_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Record that the worker did not crash on these messages."""

    def postpone_messages(self, message_ids: Sequence[UUID]) -> None:
        """Postpone these messages, on which a step failed."""

    def postpone_recipients(self, recipients: Sequence[int]) -> None:
        """Postpone these recipients, on which a step failed."""

    def release(self, message_id: UUID) -> int:
        """Make the parked recipients of this message due again. Returns how many they are."""

    def due(self, query: DueQuery) -> list[UUID] | list[int]:
        """Return the ids that a query of the sweep finds, sorted."""

    def take_bells(self) -> list[PendingBell]:
        """Return the bells that were rung since the last call, sorted."""

    def read_view(self) -> View:
        """Return everything that is stored."""
