"""Connect to the broker without Celery: every reply has a time limit, and no command is retried."""

from collections.abc import Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from delivery.channels.socket_keepalives import SOCKET_OPTIONS
from delivery.settings import Settings

CONNECT_TIMEOUT_S = 2
SOCKET_TIMEOUT_S = 5
KEEPALIVES: Mapping[str, Any] = {"socket_keepalive": True, "socket_keepalive_options": SOCKET_OPTIONS}
"""Parameters of redis-py and kombu for a TCP connection, so that a broker whose host vanished is noticed."""


def open_broker(settings: Settings, *, timeout_s: float = SOCKET_TIMEOUT_S, name: str | None = None) -> redis.Redis:
    """Open a client that connects when it is first used; `name` is its name in the broker's `CLIENT LIST`.

    A command that failed may have happened all the same: the caller decides whether to repeat it.
    """
    url = settings.broker_url.get_secret_value()
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        client_name=name,
        **keepalives(url),
    )


def keepalives(url: str) -> Mapping[str, Any]:
    """Return redis-py's parameters that notice a vanished broker; none for a unix socket, which would refuse them."""
    return {} if url.startswith("unix://") else KEEPALIVES
