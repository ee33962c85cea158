"""Connect to the broker without Celery: every reply has a time limit, and no command is retried."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from delivery.settings import Settings

CONNECT_TIMEOUT_S = 2
SOCKET_TIMEOUT_S = 5


def open_broker(settings: Settings, *, timeout_s: float = SOCKET_TIMEOUT_S, name: str | None = None) -> redis.Redis:
    """Open a client that connects when it is first used; `name` is its name in the broker's `CLIENT LIST`.

    A command that failed may have happened all the same: the caller decides whether to repeat it.
    """
    return redis.Redis.from_url(
        settings.broker_url.get_secret_value(),
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        client_name=name,
    )
