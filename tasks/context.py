"""The collaborators of a step. They are passed in, so that a test can pass fakes."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID, uuid4

from delivery.attempt_journal import AttemptJournal, NoJournal
from delivery.records.database import Database
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.relay_trouble import RelayTrouble
from delivery.rules.transitions import Transition
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tasks.broker.doorbell import Doorbell
from tasks.concurrency.fan_out import FanOut
from tasks.concurrency.group_commit import GroupCommit
from tasks.concurrency.isolation_gate import IsolationGate
from tasks.concurrency.recipient_limits import NoRecipientLimits, RecipientLimits
from tasks.rule_keeper import RuleKeeper


def apply_unknown_policy(outcome: Outcome, settings: Settings) -> Outcome:
    """Return the outcome, parked if it is unknown and the setting `unknown_policy` is `hold`."""
    is_held = outcome.kind is OutcomeKind.UNKNOWN and settings.unknown_policy == "hold"
    return replace(outcome, is_parked=True) if is_held else outcome


class Sender(Protocol):
    """A channel that needs a network."""

    def send(self, claimed: ClaimedDelivery) -> Outcome:
        """Try once to deliver to this recipient. Never raises for what the relay does.

        What it raises is a defect of ours. The journal says whether the relay may have the mail all the same.
        """

    def turn(self) -> AbstractContextManager[bool]:
        """Wait until a recipient that is claimed in the block can be sent to soon.

        The block gets False, and claims nothing, while this channel `is_away`.
        """

    @property
    def is_away(self) -> bool:
        """Whether nothing can be sent now, to any recipient."""

    @property
    def trouble(self) -> RelayTrouble | None:
        """Since when this channel refuses us, and in which words; None while it works."""

    def close(self) -> None:
        """Close idle connections. The worker has ended its work."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """The collaborators of every step in this process."""

    settings: Settings
    database: Database
    doorbell: Doorbell
    senders: Mapping[Channel, Sender] = field(default_factory=dict)
    jitter: Callable[[], float] = random.random
    worker_id: UUID = field(default_factory=uuid4)
    """The id of this worker. Its random first half is in every claim and is the key of its lock, so it is no UUIDv7."""
    journal: AttemptJournal = field(default_factory=NoJournal)
    claim_commits: GroupCommit[Sequence[int], list[ClaimedDelivery]] = field(default_factory=GroupCommit)
    """Commits the claims of several runs of `deliver` together."""
    outcome_commits: GroupCommit[Sequence[Transition], set[int]] = field(default_factory=GroupCommit)
    """Commits their outcomes together."""
    fan_out: FanOut = field(default_factory=FanOut)
    rules: RuleKeeper = field(default_factory=RuleKeeper)
    """The rule set that messages are judged by."""
    recipient_limits: RecipientLimits = field(default_factory=NoRecipientLimits)
    """The limits of addresses and accounts, over all clients."""
    isolation_gate: IsolationGate = field(default_factory=IsolationGate)
    """Lets runs of `deliver` work concurrently, or one of `deliver_isolated` alone."""
