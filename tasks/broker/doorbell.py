"""Ring a bell for the next step, after the commit of the step before. A bell carries ids and may be lost."""

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
# Celery takes about 1 ms of CPU to receive a bell, more than all else that a mail costs. With one bell for each mail,
# the worker's loop used two thirds of its process (measured on 2026-11-25). Not more than 16, because the ids that a
# worker has received and not begun when it crashes have to wait for the sweep.
_DELIVER_AT_ONCE = 16
_BACKLOG_LIMIT = 10_000
_CLOSE_TIMEOUT_S = 2.0
_PING_EVERY_S = 1.0
_UNREACHABLE = (redis.RedisError, OSError)


class Doorbell(Protocol):
    """What a step needs of a doorbell."""

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Hint that there is work for this step. Return at once, and never raise."""

    def close(self) -> None:
        """Ring the bells that still wait, for a moment at most."""

    @property
    def is_ringing(self) -> bool:
        """Whether bells reach the broker, as far as is known."""


class SilentDoorbell:
    """The doorbell of a system that works by its sweep alone (setting `bell`)."""

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    @property
    def is_ringing(self) -> bool:
        """Always true: no bell is rung, so none can fail."""
        return True


@dataclass(frozen=True, slots=True)
class _Bell:
    step: StepName
    queue_name: QueueName
    ids: tuple[str, ...] | tuple[int, ...]


class BrokerDoorbell:
    """Push bells to the broker on a thread of its own, so that no request and no step waits for Redis.

    While one push is under way the next bells gather, so that under load a bell carries many ids. When the broker does
    not answer, bells are dropped: the sweep finds every row without them.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = open_broker(settings, name="postroom-doorbell")
        self._bells: queue.Queue[_Bell | None] = queue.Queue(_BACKLOG_LIMIT)
        self._is_down = False
        self._thread = threading.Thread(target=self._publish_all, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Queue a bell for the publishing thread, or drop it when too many wait."""
        if not ids:
            return
        plain = tuple(str(each) if isinstance(each, UUID) else each for each in ids)
        try:
            self._bells.put_nowait(_Bell(step, queue_name, plain))  # type: ignore[arg-type] # one kind of id per call
        except queue.Full:
            _log.debug("bell_dropped", step=step)

    def close(self) -> None:
        """Ring the bells that still wait, for 2 s at most."""
        try:
            self._bells.put_nowait(None)
        except queue.Full:
            return  # The broker has not answered for a long time. The sweep finds the rows.
        self._thread.join(_CLOSE_TIMEOUT_S)
        self._client.close()

    @property
    def is_ringing(self) -> bool:
        """Whether the last push succeeded."""
        return not self._is_down

    def _publish_all(self) -> None:
        is_last = False
        while not is_last:
            bells, is_last = self._gather()
            self._publish(bells)

    def _gather(self) -> tuple[list[_Bell], bool]:
        """Wait for a bell and take all that wait. Return them, and whether `close` was called.

        While the broker is down, wait for a second only, so that `_push` asks whether it is back.
        """
        bells: list[_Bell] = []
        try:
            bell = self._bells.get(timeout=_PING_EVERY_S if self._is_down else None)
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
        except Exception as error:  # noqa: BLE001 - a defect at one bell must not stop the next ones
            _log.error("bell_broken", error=type(error).__name__, what_now="the sweep does the work")
            self._is_down = True
        else:
            self._is_down = False

    def _push(self, bells: list[_Bell]) -> None:
        if not bells:  # The broker was down. Ask only whether it is back.
            self._client.ping()
            return
        rung_at = datetime.now(UTC)
        payloads: dict[QueueName, list[str]] = {}
        for bell in merge(bells):
            payload = write_payload(bell.step, bell.queue_name, bell.ids, rung_at=rung_at)
            payloads.setdefault(bell.queue_name, []).append(payload)
        crash_here(CrashPoint.BELL_UNFLUSHED)
        for queue_name, of_queue in payloads.items():
            self._client.lpush(queue_name, *of_queue)


def merge(bells: Iterable[_Bell]) -> list[_Bell]:
    """Merge bells: one bell carries many ids of one step and queue."""
    ids_of: dict[tuple[StepName, QueueName], list[str | int]] = {}
    for bell in bells:
        ids_of.setdefault((bell.step, bell.queue_name), []).extend(bell.ids)
    return [
        _Bell(step, queue_name, tuple(portion))  # type: ignore[arg-type] # one kind of id per step
        for (step, queue_name), ids in ids_of.items()
        for portion in _split(ids, _DELIVER_AT_ONCE if step is StepName.DELIVER else _DECIDE_AT_ONCE)
    ]


def _split(ids: list[str | int], size: int) -> Iterable[Sequence[str | int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def ring_for_deliveries(doorbell: Doorbell, transitions: Sequence[Transition]) -> None:
    """Ring for every recipient that these transitions have queued, each channel in its own queue."""
    for channel, queue_name in DELIVERY_QUEUES.items():
        queued = [each.recipient_id for each in transitions if each.after is State.QUEUED and each.channel is channel]
        doorbell.ring(StepName.DELIVER, queue_name, queued)
