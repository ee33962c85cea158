"""Read direct sends from their Redis lists, where each stays until the database has it.

Celery's own consumer removes a message from its list before a step works on it, and a worker that is killed in between
loses it. A bell may be lost, a direct send may not: so it is read, stored or refused, and only then removed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from delivery.intake.unreadable_tasks import HEAD_LIMIT_BYTES
from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.client import open_broker
from tasks.broker.measured_reads import ask_for_oldest, remove_oldest

LISTS = (str(QueueName.ACCEPT), *(f"{QueueName.ACCEPT}\x06\x16{priority}" for priority in range(1, 10)))
"""The lists that are read. A client that sets a priority has kombu push to one with the next lower of its steps: 3, 6
and 9, unless the client has `priority_steps` of its own (kombu/transport/redis.py, `_q_for_pri`)."""

_AT_ONCE = 50
# Parsing hostile JSON holds the GIL, so a batch of large payloads must not be long.
_BYTES_AT_ONCE = 4 * 1024 * 1024


class DirectSendQueue:
    """The lists of direct sends in Redis. Each method but `close` raises `redis.RedisError` while Redis is down."""

    def __init__(self, settings: Settings) -> None:
        self._client = open_broker(settings, name="postroom-letterbox")

    def wait(self, timeout_s: float) -> None:
        """Wait for a direct send, for `timeout_s` at most. One in a list with a priority does not end the wait."""
        connection: Any = self._client.connection_pool.get_connection()  # redis-py has typed a part of it
        try:
            # Moving the oldest element from the end of a list to the same end changes nothing: it is a read that
            # blocks. Its reply would be the element, of any length, so the broker is told to leave that reply out.
            move = ("BLMOVE", LISTS[0], LISTS[0], "RIGHT", "RIGHT", timeout_s)
            connection.send_packed_command(connection.pack_commands([("CLIENT", "REPLY", "SKIP"), move, ("PING",)]))
            connection.read_response()
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._client.connection_pool.release(connection)

    def waiting(self) -> list[str]:
        """Return the names of the lists that are not empty."""
        with self._client.pipeline(transaction=False) as pipeline:
            for name in LISTS:
                pipeline.llen(name)
            return [name for name, depth in zip(LISTS, pipeline.execute(), strict=True) if depth]

    def peek(self, name: str) -> Sequence[bytes]:
        """Return the oldest payloads of one list, oldest first, and leave them there.

        One that is too long is returned alone, and only so much of it as may name its sender.
        """
        return ask_for_oldest(
            self._client, name, limit_bytes=HEAD_LIMIT_BYTES, at_once=_AT_ONCE, budget_bytes=_BYTES_AT_ONCE
        )

    def remove(self, name: str, payloads: Iterable[bytes]) -> None:
        """Remove these payloads from a list, each as often as it is passed, the oldest first."""
        with self._client.pipeline(transaction=False) as pipeline:
            for payload, count in Counter(payloads).items():
                if len(payload) > HEAD_LIMIT_BYTES:
                    remove_oldest(pipeline, name, payload)
                else:
                    pipeline.lrem(name, -count, payload)  # type: ignore[arg-type] # bytes work
            pipeline.execute()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
