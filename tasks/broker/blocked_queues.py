"""Find queues that cannot be used, because a program stored something else than a list under their names."""

import redis

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.client import open_broker
from tasks.broker.direct_queue import LISTS

_ANSWER_TIMEOUT_S = 2
_USABLE = {b"list", b"none"}

ADVICE = (
    "Another program stored something else there, so workers cannot read their bells and direct sends cannot be handed "
    "over. Remove these keys (DEL): messages are in the database, and what is no list holds no direct send."
)


def find_blocked_queues(settings: Settings) -> list[str]:
    """Return the names of keys that should be lists and are none; nothing when the broker does not answer."""
    names = [*QueueName, *(each for each in LISTS if each not in set(QueueName))]
    try:
        with open_broker(settings, timeout_s=_ANSWER_TIMEOUT_S) as client, client.pipeline() as pipeline:
            for each in names:
                pipeline.type(each)
            return [str(name) for name, kind in zip(names, pipeline.execute(), strict=True) if kind not in _USABLE]
    except redis.RedisError:
        return []
