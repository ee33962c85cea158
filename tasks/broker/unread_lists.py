"""Find direct sends that no worker reads, because a client's own options of kombu put them into another list.

kombu pushes to `global_keyprefix` + queue + `sep` + priority. Postroom reads the list `accept` and those of its
priorities with kombu's own separator.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

import redis

from delivery.settings import Settings
from delivery.vocabulary import QueueName, StepName
from tasks.broker.client import open_broker
from tasks.broker.direct_queue import LISTS
from tasks.broker.measured_reads import ask_for_oldest

_ANSWER_TIMEOUT_S = 2
# A broker that others share may have millions of keys.
_SEARCH_S = 2.0
_KEYS_AT_ONCE = 1000
_SHOWN = 20
_LOOKED_AT_BYTES = 64 * 1024
_NAME = re.compile(rf".{{0,200}}?{QueueName.ACCEPT}(?:.{{1,20}}?\d{{1,3}})?", re.DOTALL)
_TASK = f'"{StepName.ACCEPT}"'.encode()


@dataclass(frozen=True, slots=True)
class UnreadList:
    """A list of direct sends that no worker reads, and how many wait in it."""

    name: str
    depth: int


def find_unread_lists(settings: Settings) -> list[UnreadList]:
    """Return at most 20 such lists, by name; none when the broker does not answer, or forbids the search.

    The search looks at the names of all keys, for 2 s at most.
    """
    client = open_broker(settings, timeout_s=_ANSWER_TIMEOUT_S)
    try:
        with client:
            return sorted(_search(client), key=lambda each: each.name)[:_SHOWN]
    except redis.RedisError:
        return []


def _search(client: redis.Redis) -> Iterator[UnreadList]:
    read = {name.encode() for name in LISTS}
    until = monotonic() + _SEARCH_S
    for key in client.scan_iter(match=f"*{QueueName.ACCEPT}*", count=_KEYS_AT_ONCE, _type="list"):
        name = key.decode("utf-8", "backslashreplace")
        if key not in read and _NAME.fullmatch(name) and _holds_direct_sends(client, key):
            yield UnreadList(name, client.llen(key))
        if monotonic() > until:
            return


def _holds_direct_sends(client: redis.Redis, key: bytes) -> bool:
    """Check whether the oldest element is such a task: programs that share the broker may have queues of this name."""
    oldest = ask_for_oldest(client, key, limit_bytes=_LOOKED_AT_BYTES)
    return any(_TASK in each for each in oldest)
