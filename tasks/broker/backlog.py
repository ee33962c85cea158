"""The backlog at the broker, as the sweep sees it: which bells still wait, and whether the broker lost them all.

Lists are first in, first out. A row that is older than the oldest waiting bell by more than the grace has lost its
bell; a row in a long backlog has not, and is left to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Protocol
from uuid import uuid4

import redis
import structlog

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.client import open_broker
from tasks.broker.queue_depth import read_rung_at

EPOCH = "postroom:epoch"
"""The marker: when it is gone, or another one, the broker has lost everything in between."""

_ANSWER_TIMEOUT_S = 2
_PAUSE_S = 5.0
# A queue whose oldest bell does not change for so long is not read by anybody.
_STANDSTILL_S = 60.0

_log = structlog.get_logger()


class Backlog(Protocol):
    """What the sweep asks before it looks for due rows."""

    def oldest_bells(self) -> Mapping[QueueName, datetime]:
        """Say when the oldest waiting bell of each queue was rung; a queue without one is missing."""


class NoBacklog:
    """The backlog of a Postroom without bells: none waits."""

    def oldest_bells(self) -> Mapping[QueueName, datetime]:
        """Answer that no bell waits."""
        return {}


@dataclass(frozen=True, slots=True)
class _Tail:
    """The oldest bell of a queue, and since when it has been that."""

    payload: bytes
    seen_at: float


class BrokerBacklog:
    """Asks the broker, and does without it for a while when it does not answer."""

    def __init__(
        self, settings: Settings, queues: Sequence[QueueName], *, now: Callable[[], float] = monotonic
    ) -> None:
        self._now = now
        self._grace = settings.grace
        self._queues = queues
        self._tails: dict[QueueName, _Tail] = {}
        self._epoch: bytes | None = None
        self._lost_at: datetime | None = None
        self._ask_after = 0.0
        self._client = open_broker(settings, timeout_s=_ANSWER_TIMEOUT_S)

    def oldest_bells(self) -> Mapping[QueueName, datetime]:
        """Say when the oldest waiting bell of each queue was rung; a queue without one is missing."""
        if self._now() < self._ask_after:
            return {}
        try:
            epoch, envelopes = self._ask()
        except redis.RedisError:  # No bell can be heard now, so none is waited for.
            self._ask_after = self._now() + _PAUSE_S
            return {}
        self._mind(epoch)
        waiting = zip(self._queues, envelopes, strict=True)
        return {name: rung_at for name, payload in waiting if (rung_at := self._oldest(name, payload))}

    def _ask(self) -> tuple[bytes, list[bytes | None]]:
        with self._client.pipeline(transaction=True) as asked:
            asked.set(EPOCH, str(uuid4()), nx=True)
            asked.get(EPOCH)
            for name in self._queues:
                asked.lindex(name, -1)  # Celery pushes on the left and pops on the right.
            answers: list[Any] = asked.execute()
        return answers[1], answers[2:]

    def _mind(self, epoch: bytes) -> None:
        """Notice that the broker began anew: whatever was rung up to now is taken for lost."""
        if self._epoch not in {None, epoch}:
            self._lost_at = datetime.now(UTC)
            _log.warning("broker_lost_everything", what_now="the sweep does the work")
        self._epoch = epoch

    def _oldest(self, name: QueueName, payload: bytes | None) -> datetime | None:
        """Give the bound up to which rows of this queue are without a bell; None when no bell holds them back."""
        rung_at = read_rung_at(payload)
        if payload is None or rung_at is None or rung_at.tzinfo is None or self._stands_still(name, payload):
            return None
        return rung_at if self._lost_at is None else max(rung_at, self._lost_at + self._grace)

    def _stands_still(self, name: QueueName, payload: bytes) -> bool:
        now = self._now()
        tail = self._tails.get(name)
        if tail is None or tail.payload != payload:
            self._tails[name] = tail = _Tail(payload, now)
        return now - tail.seen_at > _STANDSTILL_S
