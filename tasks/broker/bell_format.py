"""Write the payload of a bell as Celery does: Celery and kombu take ten times as long for each.

`tests/steps/test_doorbell.py` compares the payloads with what Celery itself pushes.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import uuid4

from delivery.vocabulary import QueueName, StepName

RUNG_AT = "rung_at"
"""The header of a bell that holds when it was rung, in RFC 3339."""

# Version 2 of Celery's protocol: no task follows this one, and no result of it is sent.
_EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_SAME_IN_ALL: dict[str, Any] = {
    "lang": "py",
    "shadow": None,
    "eta": None,
    "expires": None,
    "group": None,
    "group_index": None,
    "retries": 0,
    "timelimit": [None, None],
    "parent_id": None,
    # The text that logs and monitors show as the arguments. The ids are in the body.
    "argsrepr": "(...)",
    "kwargsrepr": "{}",
    "origin": "postroom",
    "ignore_result": None,
    "replaced_task_nesting": 0,
    "stamped_headers": None,
    "stamps": {},
}


def write_payload(
    step: StepName, queue_name: QueueName, ids: Sequence[str] | Sequence[int], *, rung_at: datetime
) -> str:
    """Return the payload of a bell as JSON, ready to be pushed. Raises `TypeError` for an id that JSON cannot hold."""
    task_id = str(uuid4())
    body = json.dumps([[list(ids)], {}, _EMBEDDED]).encode()
    headers = {"task": step, "id": task_id, "root_id": task_id, RUNG_AT: rung_at.isoformat()}
    payload = {
        "body": b64encode(body).decode("ascii"),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**_SAME_IN_ALL, **headers},
        "properties": {**_properties(queue_name), "correlation_id": task_id, "delivery_tag": str(uuid4())},
    }
    return json.dumps(payload)


@cache
def _properties(queue_name: QueueName) -> dict[str, Any]:
    return {
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": str(queue_name)},
        "priority": 0,
        "body_encoding": "base64",
    }
