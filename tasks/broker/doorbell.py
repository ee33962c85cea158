"""How a step hands on: it rings, by name, after its commit. A bell carries ids and no authority, and may be lost."""

import queue
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import redis
import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.rules.transitions import Transition
from delivery.settings import Settings
from delivery.vocabulary import QueueName, State, StepName
from tasks.broker.bell_format import write_payload
from tasks.broker.client import open_broker
from tasks.queues import DELIVERY_QUEUES

_log = structlog.get_logger()
_DECIDE_AT_ONCE = 500
# Celery takes about 1 ms of processor time to hear a bell, more than all else that a mail costs: with a bell for each
# the worker's loop used two thirds of its process (measured on 2026-11-25). Few enough that what a dying worker has
# heard and not begun, and leaves to the sweep, stays little.
_DELIVER_AT_ONCE = 16
_BACKLOG_LIMIT = 10_000
_CLOSE_TIMEOUT_S = 2.0
_LOOK_EVERY_S = 1.0
_UNREACHABLE = (redis.RedisError, OSError)


class Doorbell(Protocol):
    """Whatever can be rung."""

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Hint that there is work for this step. Returns at once and never raises."""

    def close(self) -> None:
        """Ring what was left to ring, for a moment at most."""

    @property
    def is_ringing(self) -> bool:
        """Say whether bells are heard, as far as is known."""


class SilentDoorbell:
    """The doorbell of a Postroom that works by its sweep alone (setting `bell`)."""

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    @property
    def is_ringing(self) -> bool:
        """Nobody rings, so nothing is amiss."""
        return True


@dataclass(frozen=True, slots=True)
class _Bell:
    step: StepName
    queue_name: QueueName
    ids: tuple[str, ...] | tuple[int, ...]


class BrokerDoorbell:
    """Rings at the broker, from a thread of its own: no request and no step ever waits for Redis.

    While one push is under way the next bells gather, so that under load a bell carries many ids by itself. When the
    broker does not answer, bells are dropped: the sweep finds every row without them.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = open_broker(settings, name="postroom-doorbell")
        self._bells: queue.Queue[_Bell | None] = queue.Queue(_BACKLOG_LIMIT)
        self._is_down = False
        self._thread = threading.Thread(target=self._publish_all, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Leave a bell to the publisher thread; with too many waiting, drop it."""
        if not ids:
            return
        plain = tuple(str(each) if isinstance(each, UUID) else each for each in ids)
        try:
            self._bells.put_nowait(_Bell(step, queue_name, plain))  # type: ignore[arg-type] # one kind of id per call
        except queue.Full:
            _log.debug("bell_dropped", step=step)

    def close(self) -> None:
        """Ring what was left to ring, for a moment at most."""
        try:
            self._bells.put_nowait(None)
        except queue.Full:
            return  # The broker has not answered for long; the sweep has all of it.
        self._thread.join(_CLOSE_TIMEOUT_S)
        self._client.close()

    @property
    def is_ringing(self) -> bool:
        """Say whether the last push went through."""
        return not self._is_down

    def _publish_all(self) -> None:
        is_last = False
        while not is_last:
            bells, is_last = self._gather()
            self._publish(bells)

    def _gather(self) -> tuple[list[_Bell], bool]:
        """Wait for a bell and take all others that wait already; while the broker is down, wait for a while only."""
        bells: list[_Bell] = []
        try:
            bell = self._bells.get(timeout=_LOOK_EVERY_S if self._is_down else None)
            while bell is not None:
                bells.append(bell)
                bell = self._bells.get_nowait()
        except queue.Empty:
            return bells, False
        return bells, True

    def _publish(self, bells: list[_Bell]) -> None:
        try:
            crash_here(CrashPoint.BELL_TAKEN)
            self._push(bells)
            crash_here(CrashPoint.BELL_PUBLISHED)
        except _UNREACHABLE as error:
            if not self._is_down:
                _log.warning("broker_unreachable", error=type(error).__name__, what_now="the sweep does the work")
            self._is_down = True
        except Exception as error:  # noqa: BLE001 - whatever one bell does to us, the next ones must ring
            _log.error("bell_broken", error=type(error).__name__, what_now="the sweep does the work")
            self._is_down = True
        else:
            self._is_down = False

    def _push(self, bells: list[_Bell]) -> None:
        if not bells:  # Nobody rang; this only asks whether the broker is back.
            self._client.ping()
            return
        rung_at = datetime.now(UTC)
        envelopes: dict[QueueName, list[str]] = {}
        for bell in merge(bells):
            written = write_payload(bell.step, bell.queue_name, bell.ids, rung_at=rung_at)
            envelopes.setdefault(bell.queue_name, []).append(written)
        crash_here(CrashPoint.BELL_UNFLUSHED)
        for queue_name, some in envelopes.items():
            self._client.lpush(queue_name, *some)


def merge(bells: Iterable[_Bell]) -> list[_Bell]:
    """Make few bells of many: ids of one step and queue ride together."""
    gathered: dict[tuple[StepName, QueueName], list[str | int]] = {}
    for bell in bells:
        gathered.setdefault((bell.step, bell.queue_name), []).extend(bell.ids)
    return [
        _Bell(step, queue_name, tuple(some))  # type: ignore[arg-type] # one kind of id per step
        for (step, queue_name), ids in gathered.items()
        for some in _split(ids, _DELIVER_AT_ONCE if step is StepName.DELIVER else _DECIDE_AT_ONCE)
    ]


def _split(ids: list[str | int], size: int) -> Iterable[Sequence[str | int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def ring_for_deliveries(doorbell: Doorbell, placed: Sequence[Transition]) -> None:
    """Ring for every recipient that these moves have queued, each channel in its own queue."""
    for channel, queue_name in DELIVERY_QUEUES.items():
        queued = [move.recipient_id for move in placed if move.after is State.QUEUED and move.channel is channel]
        doorbell.ring(StepName.DELIVER, queue_name, queued)
