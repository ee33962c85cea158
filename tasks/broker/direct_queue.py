"""The letterbox: where other programs push direct sends, and where each stays until the database has it.

Celery's own consumer takes a message off its list before anybody has worked on it, and a worker that is killed in
between loses it. A bell may be lost, a direct send may not: so it is looked at, dealt with, and only then removed.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import cast

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.client import open_broker

# A client that sets a priority has kombu push to one of these lists (kombu/transport/redis.py, `_q_for_pri`).
LISTS = (str(QueueName.ACCEPT), *(f"{QueueName.ACCEPT}\x06\x16{step}" for step in (3, 6, 9)))
_AT_ONCE = 50
# Reading hostile JSON holds the interpreter; a batch of large ones must not hold it for long.
_BYTES_AT_ONCE = 4 * 1024 * 1024


class DirectSendQueue:
    """The lists of direct sends at the broker. Every method raises `redis.RedisError` while that does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._client = open_broker(settings, name="postroom-letterbox")

    def wait(self, timeout_s: float) -> None:
        """Wait for something to lie there, for so long at most. Only the list without a priority ends it early."""
        # Moving the oldest from the end of a list to the same end changes nothing: a look that blocks.
        self._client.blmove(LISTS[0], LISTS[0], timeout_s, "RIGHT", "RIGHT")  # type: ignore[arg-type] # fractions work

    def peek(self, name: str) -> list[bytes]:
        """Give the oldest envelopes of one list, oldest first, and leave them there."""
        found = cast(list[bytes], self._client.lrange(name, -_AT_ONCE, -1))[::-1]
        sizes = accumulate(map(len, found))
        return [each for each, size in zip(found, sizes, strict=True) if size <= _BYTES_AT_ONCE] or found[:1]

    def remove(self, name: str, envelopes: Iterable[bytes]) -> None:
        """Take these envelopes from a list, each as often as it is given, beginning with the oldest."""
        with self._client.pipeline(transaction=False) as asked:
            for payload, count in Counter(envelopes).items():
                asked.lrem(name, -count, payload)  # type: ignore[arg-type] # bytes work
            asked.execute()

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()
