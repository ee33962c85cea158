"""Run the steps one by one in this process, with a doorbell and a mail relay that only record."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.relay_trouble import RelayTrouble
from delivery.vocabulary import QueueName, StepName
from tasks.context import StepContext
from tasks.runner import STEPS


@dataclass(frozen=True, slots=True)
class RungBell:
    """A bell that was rung."""

    step: StepName
    queue_name: QueueName
    ids: tuple[UUID, ...] | tuple[int, ...]


class RecordingDoorbell:
    """A doorbell that only records its bells."""

    def __init__(self) -> None:
        self.rung: deque[RungBell] = deque()

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Record the bell."""
        if ids:
            self.rung.append(RungBell(step, queue_name, tuple(ids)))  # type: ignore[arg-type] # one kind of id per call

    def close(self) -> None:
        """Do nothing."""

    @property
    def is_ringing(self) -> bool:
        """True: no bell is lost."""
        return True


def _sent(claimed: ClaimedDelivery) -> Outcome:
    del claimed
    return Outcome(OutcomeKind.SENT)


@dataclass
class RecordingSender:
    """A sender that records every delivery and returns the outcome that `answer` chooses, by default "sent"."""

    answer: Callable[[ClaimedDelivery], Outcome] = _sent
    letters: list[ClaimedDelivery] = field(default_factory=list)
    is_away: bool = False
    trouble: RelayTrouble | None = None

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Let everything be claimed at once, unless the test set `is_away`."""
        yield not self.is_away

    def send(self, claimed: ClaimedDelivery) -> Outcome:
        """Record the delivery and return its outcome."""
        self.letters.append(claimed)
        return self.answer(claimed)

    def close(self) -> None:
        """Close nothing."""


class StepDriver:
    """Runs the steps of recorded bells one by one, as the broker and the workers would."""

    def __init__(self, context: StepContext, bells: RecordingDoorbell) -> None:
        self._context = context
        self.bells = bells

    def run(self) -> RungBell:
        """Run the step of the oldest bell; its ids pass through JSON as on the wire."""
        bell = self.bells.rung.popleft()
        STEPS[bell.step].run_bell(self._context, json.loads(json.dumps(bell.ids, default=str)))
        return bell

    def run_until_quiet(self) -> None:
        """Run steps until no bell is left."""
        while self.bells.rung:
            self.run()
