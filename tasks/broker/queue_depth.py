"""Read from the broker how many bells are in each queue, and when the oldest was rung."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import redis

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.bell_format import RUNG_AT
from tasks.broker.bell_reader import BELL_LIMIT_BYTES
from tasks.broker.client import open_broker
from tasks.broker.direct_queue import LISTS
from tasks.broker.measured_reads import Scripting, ask_for_oldest
from tasks.queues import DIRECT_SENDS

_ANSWER_TIMEOUT_S = 2


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue: its depth in bells, or in direct sends of every priority, and when its oldest bell was rung.

    `oldest_at` is None when it is empty or cannot be read.
    """

    name: QueueName
    depth: int
    oldest_at: datetime | None


def read_queues(settings: Settings) -> list[QueueView] | None:
    """Return the depth of every queue, or None when the broker does not answer."""
    client = open_broker(settings, timeout_s=_ANSWER_TIMEOUT_S)
    try:
        with client:
            return list(_views(client))
    except redis.RedisError:
        return None


def _views(client: redis.Redis) -> Iterable[QueueView]:
    for name in QueueName:
        with client.pipeline(transaction=True) as pipeline:
            ask_for_oldest_bell(pipeline, name)
            for each in LISTS if name is DIRECT_SENDS else (name,):
                pipeline.llen(each)
            oldest, *depths = pipeline.execute(raise_on_error=False)
        if any(isinstance(each, redis.ResponseError) for each in (oldest, *depths)):
            yield QueueView(name, 0, None)  # Its name is that of something else: `find_blocked_queues` tells it.
        else:
            yield QueueView(name, sum(depths), read_rung_at(first_of(oldest)))


def ask_for_oldest_bell(pipeline: Scripting, name: str) -> None:
    """Ask for the oldest bell of a queue: `first_of` the reply to this command. Celery pops on the right."""
    ask_for_oldest(pipeline, name, limit_bytes=BELL_LIMIT_BYTES)


def first_of(reply: Sequence[bytes]) -> bytes | None:
    """Return the oldest bell in a reply to `ask_for_oldest_bell`, or None. One that is too long is cut."""
    return reply[0] if reply else None


def read_rung_at(payload: bytes | None) -> datetime | None:
    """Return when a bell was rung, or None when its payload does not hold that. Any program can push to a queue."""
    try:
        return datetime.fromisoformat(json.loads(payload or b"")["headers"][RUNG_AT])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
