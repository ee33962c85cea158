"""Turning the steps by hand, in this process: bells that are only noted, a mail relay that only listens."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
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
    """A doorbell that only notes who rang."""

    def __init__(self) -> None:
        self.rung: deque[RungBell] = deque()

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Note the bell."""
        if ids:
            self.rung.append(RungBell(step, queue_name, tuple(ids)))  # type: ignore[arg-type] # one kind of id per call

    def close(self) -> None:
        """Do nothing."""

    @property
    def is_ringing(self) -> bool:
        """It hears every bell."""
        return True


def _sent(claimed: ClaimedDelivery) -> Outcome:
    del claimed
    return Outcome(OutcomeKind.SENT)


@dataclass
class RecordingSender:
    """A mail relay that keeps every letter and answers what `answer` says: by default that it is sent."""

    answer: Callable[[ClaimedDelivery], Outcome] = _sent
    letters: list[ClaimedDelivery] = field(default_factory=list)

    def send(self, claimed: ClaimedDelivery) -> Outcome:
        """Keep the letter and answer."""
        self.letters.append(claimed)
        return self.answer(claimed)


class StepDriver:
    """Takes the bells that were rung, one by one, to their steps, as the broker and the workers would."""

    def __init__(self, context: StepContext, bells: RecordingDoorbell) -> None:
        self._context = context
        self.bells = bells

    def run(self) -> RungBell:
        """Take the oldest bell to its step, by way of JSON as over the wire."""
        bell = self.bells.rung.popleft()
        STEPS[bell.step].run_bell(self._context, json.loads(json.dumps(bell.ids, default=str)))
        return bell

    def run_until_quiet(self) -> None:
        """Go on until no bell waits."""
        while self.bells.rung:
            self.run()
