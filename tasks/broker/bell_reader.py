"""Read a bell from the raw bytes of a queue, before Celery or kombu parses anything of them.

Any program that reaches the broker can push there. kombu's JSON reader builds objects as a payload asks it to
(`__type__`) and raises whatever their constructors raise, which ends the worker: `LPUSH decide '{"__type__":"uuid",
"__value__":{"nope":1}}'` did (measured with 5.7.0). Celery logs the body of a bell that it cannot decode. So both get
only what is written here, from ids, a step and a time that were read strictly.
"""

import json
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any
from uuid import uuid4

from delivery.intake.uuids import read_uuid
from delivery.vocabulary import StepName
from tasks.broker.bell_format import RUNG_AT
from tasks.queues import DIRECT_SENDS, ROUTES

BELL_LIMIT_BYTES = 128 * 1024
"""Five times the longest bell that a doorbell rings: 500 ids of messages."""

_STEPS_OF = {
    str(queue_name): {str(step): step for step, routes in ROUTES.items() if queue_name in routes}
    for routes in ROUTES.values()
    for queue_name in routes
    if queue_name is not DIRECT_SENDS
}
_BIGINT_LIMIT = 2**63


class InvalidBell(ValueError):  # noqa: N818 - a fact about the payload
    """A payload in a queue is no bell."""


def read_bell(raw: bytes, queue_name: str) -> dict[str, Any]:
    """Write a bell of this queue again, as kombu's message, from the step, id, time and ids in its payload.

    Raises `InvalidBell` for every other payload, whatever it holds.
    """
    try:
        return _read(raw, queue_name)
    except InvalidBell:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a payload makes a reader raise, no worker may end by it
        raise InvalidBell(type(error).__name__) from None


def _read(raw: bytes, queue_name: str) -> dict[str, Any]:
    if len(raw) > BELL_LIMIT_BYTES:
        raise InvalidBell("size")
    payload = json.loads(raw.decode("utf-8"))
    headers = _part(payload, "headers")
    step, task_id = _read_step(headers, queue_name), headers.get("id")
    if not _is_message_id(task_id):
        raise InvalidBell("id")
    return {
        "body": b64encode(json.dumps([[_read_ids(payload, step)], {}, {}]).encode()).decode("ascii"),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": step, "id": task_id, RUNG_AT: _read_time(headers.get(RUNG_AT))},
        "properties": {
            "body_encoding": "base64",
            # Our own, because kombu counts messages by it, and two that share one would be one.
            "delivery_tag": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue_name},
            "priority": 0,
        },
    }


def _part(payload: object, name: str) -> dict[str, Any]:
    part = payload.get(name) if isinstance(payload, dict) else None
    if not isinstance(part, dict):
        raise InvalidBell(name)
    return part


def _read_step(headers: dict[str, Any], queue_name: str) -> StepName:
    step = headers.get("task")
    found = _STEPS_OF.get(queue_name, {}).get(step) if isinstance(step, str) else None
    if found is None:
        raise InvalidBell("step")
    return found


def _read_time(text: object) -> str | None:
    return datetime.fromisoformat(text).isoformat() if isinstance(text, str) else None


def _read_ids(payload: dict[str, Any], step: StepName) -> list[str | int]:
    """Return the ids in the body of a bell, which holds one list and nothing else."""
    body = payload.get("body")
    if not isinstance(body, str):
        raise InvalidBell("body")
    arguments = json.loads(b64decode(body, validate=True).decode("utf-8"))
    if not isinstance(arguments, list) or len(arguments) != 3 or arguments[1] != {}:
        raise InvalidBell("arguments")
    positional = arguments[0]
    if not isinstance(positional, list) or len(positional) != 1 or not isinstance(positional[0], list):
        raise InvalidBell("arguments")
    if not isinstance(arguments[2], dict) or any(arguments[2].values()):
        raise InvalidBell("callbacks")
    ids: list[str | int] = positional[0]
    is_id = _is_recipient_id if step is StepName.DELIVER else _is_message_id
    if not ids or not all(map(is_id, ids)):
        raise InvalidBell("ids")
    return ids


def _is_message_id(item: object) -> bool:
    return isinstance(item, str) and read_uuid(item) is not None


def _is_recipient_id(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and 0 < item < _BIGINT_LIMIT
