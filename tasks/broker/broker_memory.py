"""Read from the broker how much of its memory is in use."""

from dataclasses import dataclass

import redis

from delivery.settings import Settings
from tasks.broker.client import open_broker

_ANSWER_TIMEOUT_S = 2


@dataclass(frozen=True, slots=True)
class BrokerMemory:
    """Bytes that the broker uses, and how many it may use (0: as many as there are)."""

    used_bytes: int
    limit_bytes: int


def read_memory(settings: Settings) -> BrokerMemory | None:
    """Return the broker's use of memory, or None when it does not answer or refuses to tell this role."""
    try:
        with open_broker(settings, timeout_s=_ANSWER_TIMEOUT_S) as client:
            info = client.info("memory")
    except redis.RedisError:
        return None
    return BrokerMemory(int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)))
