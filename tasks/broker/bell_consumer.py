"""Receive bells, and drop every payload that is not exactly a bell.

Celery logs the content of a payload that it cannot read, and kombu stops the worker at one without headers (measured
with 5.7.0: one `LPUSH decide x` is enough). So both get only bells, written again from their ids and times.
"""

import binascii
import json
from base64 import b64decode
from datetime import datetime
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from kombu.transport import redis
from kombu.transport.virtual import Message

from delivery.intake.uuids import read_uuid
from delivery.vocabulary import QueueName, StepName
from tasks.broker.bell_format import RUNG_AT
from tasks.queues import DIRECT_SENDS

_log = structlog.get_logger()
_STEPS = frozenset(StepName) - {StepName.ACCEPT}
_QUEUES = frozenset(QueueName) - {DIRECT_SENDS}


class InvalidBell(ValueError):  # noqa: N818 - a fact about the payload
    """A payload in a queue is no bell."""


class BellConsumer(Consumer):  # type: ignore[misc] # Celery ships no types
    """Celery's consumer, on connections that pass on only bells."""

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        """Open the connection on which bells are received."""
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        connection.transport.Channel = BellChannel
        return self.ensure_connected(connection)


class BellMessage(Message):
    """kombu's message, made from a checked bell."""

    def __init__(self, payload: object, channel: Any = None, **options: Any) -> None:
        # kombu makes its message before it counts it as received, so a payload refused here leaves no trace.
        super().__init__(read_bell(payload), channel=channel, **options)  # type: ignore[no-untyped-call] # kombu


class BellChannel(redis.Channel):
    """kombu's channel. It removes a payload that is no bell from its list, and logs that it did."""

    Message = BellMessage

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call] # kombu has not typed it
        except (ValueError, RecursionError) as error:  # It is not JSON, or it is no bell.
            _log.warning("bell_garbled", error=type(error).__name__)
            return True


def read_bell(payload: object) -> dict[str, Any]:
    """Write a bell again from the step, id, time and arguments in its payload. Raises `ValueError`."""
    headers, properties = _part(payload, "headers"), _part(payload, "properties")
    step, task_id, delivery_tag = headers.get("task"), headers.get("id"), properties.get("delivery_tag")
    if step not in list(_STEPS) or not _is_id(task_id) or not _is_id(delivery_tag):
        raise InvalidBell("headers")
    body = _check_body(payload)
    queue_name = _part(properties, "delivery_info").get("routing_key")
    if queue_name not in list(_QUEUES):
        raise InvalidBell("queue")
    return {
        "body": body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": step, "id": task_id, RUNG_AT: _read_time(headers.get(RUNG_AT))},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": delivery_tag,
            "delivery_info": {"exchange": "", "routing_key": queue_name},
            "priority": 0,
        },
    }


def _part(payload: object, name: str) -> dict[str, Any]:
    part = payload.get(name) if isinstance(payload, dict) else None
    if not isinstance(part, dict):
        raise InvalidBell(name)
    return part


def _is_id(text: object) -> bool:
    return isinstance(text, str) and read_uuid(text) is not None


def _read_time(text: object) -> str | None:
    return datetime.fromisoformat(text).isoformat() if isinstance(text, str) else None


def _check_body(payload: object) -> str:
    """Return the body of a bell, still in base64, once it is known to hold one list and nothing else."""
    body = payload.get("body") if isinstance(payload, dict) else None
    if not isinstance(body, str):
        raise InvalidBell("body")
    try:
        arguments = json.loads(b64decode(body, validate=True).decode())
    except binascii.Error as error:
        raise InvalidBell("body") from error
    if not isinstance(arguments, list) or len(arguments) != 3 or arguments[1] != {}:
        raise InvalidBell("arguments")
    positional = arguments[0]
    if not isinstance(positional, list) or len(positional) != 1 or not isinstance(positional[0], list):
        raise InvalidBell("arguments")
    if not isinstance(arguments[2], dict) or any(arguments[2].values()):
        raise InvalidBell("callbacks")
    return body
