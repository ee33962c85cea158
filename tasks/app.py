"""The Celery application: settings whose reasons were measured (DESIGN.md section 5), and nothing on import."""

from celery import Celery
from kombu.entity import Queue

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.client import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S


def make_app(settings: Settings) -> Celery:
    """Make the Celery application of this process. It connects when it is first used."""
    app = Celery("postroom", broker=celery_url(settings), set_as_current=False, backend=None)
    # Names of queues only: after FLUSHALL a named exchange has lost its bindings and drops every bell silently. Fresh
    # for each application: Celery writes its default exchange into them, and publishes without one all the same.
    queues = [Queue(name) for name in QueueName]  # type: ignore[no-untyped-call] # kombu ships no types
    app.conf.update({**_CONFIGURATION, "task_queues": queues})
    return app


def celery_url(settings: Settings) -> str:
    """Give the broker's address in Celery's spelling, which names a socket `redis+socket://`."""
    url = settings.broker_url.get_secret_value()
    if url.startswith("unix://"):
        return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
    return url


_CONFIGURATION = {
    "task_default_queue": QueueName.DECIDE,
    "task_create_missing_queues": False,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "enable_utc": True,
    # The row is the job, so acknowledging a bell protects nothing: 9 Redis commands a task become 1.
    "broker_transport_options": {
        "ack_emulation": False,
        "socket_timeout": SOCKET_TIMEOUT_S,  # Above the one second that BRPOP blocks.
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "health_check_interval": 5,
        "socket_keepalive": True,
        # A push fails at once while the broker is away; kombu would go on trying for 6 s with every bell behind it.
        "max_retries": 0,
        "priority_steps": [0],
        "client_name": "postroom",
    },
    "task_acks_late": True,
    # A publish may raise and have happened; the sweep repairs both, a repeated publish neither.
    "task_publish_retry": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # A full or read-only Redis is a channel error; without this the worker ends for good.
    "broker_channel_error_retry": True,
    "broker_pool_limit": 2,
    "worker_prefetch_multiplier": 2,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_detect_quorum_queues": False,
    "worker_disable_rate_limits": True,
    # True would cut a mail off in the middle for a blink of Redis.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_soft_shutdown_timeout": 10,
}
