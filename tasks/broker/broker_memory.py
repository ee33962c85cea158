"""Read from the broker how much of its memory is in use, and what it does when it is full."""

from dataclasses import dataclass

import redis

from delivery.settings import Settings
from tasks.broker.client import open_broker

KEEPS_ALL = "noeviction"
"""The only policy with which a full broker refuses a push and drops nothing. A list of direct sends is one key."""

_ANSWER_TIMEOUT_S = 2


@dataclass(frozen=True, slots=True)
class BrokerMemory:
    """Bytes that the broker uses, how many it may use (0: as many as there are), and its `maxmemory-policy`."""

    used_bytes: int
    limit_bytes: int
    policy: str = KEEPS_ALL

    @property
    def may_evict(self) -> bool:
        """Whether a full broker may drop what waits, without an error."""
        return self.policy != KEEPS_ALL


def read_memory(settings: Settings) -> BrokerMemory | None:
    """Return the broker's use of memory, or None when it does not answer or refuses to tell this role."""
    try:
        with open_broker(settings, timeout_s=_ANSWER_TIMEOUT_S) as client:
            info = client.info("memory")
    except redis.RedisError:
        return None
    return BrokerMemory(
        int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)), str(info.get("maxmemory_policy", KEEPS_ALL))
    )
