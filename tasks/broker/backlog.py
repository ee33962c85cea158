"""Read from the broker which bells still wait, and whether it lost them all, so that the sweep skips their rows.

Lists are first in, first out. A row that is older than the oldest waiting bell by more than the grace has lost its
bell. A newer row still has its bell in the backlog, and the sweep leaves it to that bell.
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
from tasks.broker.queue_depth import ask_for_oldest_bell, first_of, read_rung_at

EPOCH = "postroom:epoch"
"""The key of the marker: when its value is gone or differs, the broker has lost everything in between."""

_ANSWER_TIMEOUT_S = 2
_PAUSE_S = 5.0
# No worker reads a queue whose oldest bell does not change for so long.
_STANDSTILL_S = 60.0

_log = structlog.get_logger()


class Backlog(Protocol):
    """Where the sweep reads the oldest bells before it looks for due rows."""

    def oldest_bells(self) -> Mapping[QueueName, datetime]:
        """Return when the oldest waiting bell of each queue was rung; a queue without bells is left out."""


class NoBacklog:
    """The backlog of a worker without bells (setting `bell`)."""

    def oldest_bells(self) -> Mapping[QueueName, datetime]:
        """Return an empty mapping: no bell waits."""
        return {}


@dataclass(frozen=True, slots=True)
class _Tail:
    """The oldest bell of a queue, and when it was first seen there, in seconds of the monotonic clock."""

    payload: bytes
    seen_at: float


class BrokerBacklog:
    """The backlog at the broker. When the broker does not answer, it is not asked again for 5 s."""

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
        """Return when the oldest waiting bell of each queue was rung; a queue without bells is left out."""
        if self._now() < self._ask_after:
            return {}
        try:
            epoch, payloads = self._read()
        except redis.RedisError:  # No worker can receive a bell now, so no row waits for one.
            self._ask_after = self._now() + _PAUSE_S
            return {}
        self._compare(epoch)
        waiting = zip(self._queues, payloads, strict=True)
        return {name: rung_at for name, payload in waiting if (rung_at := self._oldest(name, payload))}

    def _read(self) -> tuple[bytes, list[bytes | None]]:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.set(EPOCH, str(uuid4()), nx=True)
            pipeline.get(EPOCH)
            for name in self._queues:
                ask_for_oldest_bell(pipeline, name)
            replies: list[Any] = pipeline.execute()
        return replies[1], [*map(first_of, replies[2:])]

    def _compare(self, epoch: bytes) -> None:
        """Compare the marker with the one before: when it changed, every bell that was rung until now is lost."""
        if self._epoch not in {None, epoch}:
            self._lost_at = datetime.now(UTC)
            _log.warning("broker_lost_everything", what_now="the sweep does the work")
        self._epoch = epoch

    def _oldest(self, name: QueueName, payload: bytes | None) -> datetime | None:
        """Return the time up to which rows of this queue have lost their bell, or None when no bell holds rows back."""
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
