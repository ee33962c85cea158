"""What a step may reach. It is handed in, so that a test can hand in something else."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from delivery.records.claims import Letter
from delivery.records.engine import Store
from delivery.rules.outcomes import Outcome
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tasks.doorbell import Doorbell


class Sender(Protocol):
    """A channel that needs a network."""

    def send(self, letter: Letter) -> Outcome:
        """Try once to deliver this letter. Never raises for what the other side does."""


@dataclass(frozen=True, slots=True)
class Office:
    """The collaborators of every step in this process."""

    settings: Settings
    store: Store
    doorbell: Doorbell
    senders: Mapping[Channel, Sender] = field(default_factory=dict)
    chance: Callable[[], float] = random.random
