"""Make the Celery application, with settings whose reasons were measured. Importing this module opens nothing."""

from collections.abc import MutableMapping

import structlog
from celery import Celery
from kombu.entity import Queue

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.client import CONNECT_TIMEOUT_S, KEEPALIVES, SOCKET_TIMEOUT_S

_log = structlog.get_logger()


def make_app(settings: Settings) -> Celery:
    """Make the Celery application of this process. It connects when it is first used."""
    app = Celery("postroom", broker=celery_url(settings), set_as_current=False, backend=None)
    # Queues without an exchange: after FLUSHALL a named exchange has lost its bindings and drops every bell silently.
    # New objects for each application, because Celery writes its default exchange into them. It publishes without one
    # all the same.
    queues = [Queue(name) for name in QueueName]  # type: ignore[no-untyped-call] # kombu ships no types
    app.conf.update({**_CONFIGURATION, "task_queues": queues})
    return app


def ignore_celery_variables(environment: MutableMapping[str, str]) -> None:
    """Remove Celery's own variables from the environment of this process, before `make_app`.

    They are another program's: Celery prefers CELERY_BROKER_URL to the broker of our settings, and would wait for bells
    where none are rung. CELERY_LOADER and CELERY_RESULT_BACKEND name modules that we may not have.
    """
    for name in [each for each in environment if each.startswith("CELERY_")]:
        del environment[name]
        _log.warning("celery_variable_ignored", variable=name, what_now="Postroom uses BROKER_URL; unset it here")


def celery_url(settings: Settings) -> str:
    """Return the broker's address as Celery writes it, with `redis+socket://` for a unix socket."""
    url = settings.broker_url.get_secret_value()
    if url.startswith("unix://"):
        return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
    if url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
        # Without it kombu checks no certificate and sends the password to any server; redis-py itself checks it.
        return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
    return url


_CONFIGURATION = {
    "task_default_queue": QueueName.DECIDE,
    "task_create_missing_queues": False,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "enable_utc": True,
    # The row is the job, so acknowledging a bell protects nothing. Without it, 9 Redis commands per task become 1.
    "broker_transport_options": {
        "ack_emulation": False,
        "socket_timeout": SOCKET_TIMEOUT_S,  # More than the second for which BRPOP blocks.
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "health_check_interval": 5,
        **KEEPALIVES,
        # A push fails at once while the broker is away. kombu would retry for 6 s, and every bell would wait behind it.
        "max_retries": 0,
        "priority_steps": [0],
        "client_name": "postroom",
    },
    "task_acks_late": True,
    # A publish that raised may have happened all the same. The sweep covers both cases; a retry covers neither.
    "task_publish_retry": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # A full or read-only Redis is a channel error. Without this the worker stops and does not reconnect.
    "broker_channel_error_retry": True,
    "broker_pool_limit": 2,
    "worker_prefetch_multiplier": 2,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_detect_quorum_queues": False,
    "worker_disable_rate_limits": True,
    # True would interrupt a mail whenever the connection to Redis is lost for a moment.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_soft_shutdown_timeout": 10,
}
