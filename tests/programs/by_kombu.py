"""Send by a bare kombu producer: BROKER-URL as argument, the fields as JSON on stdin."""

import json
import sys
from uuid import uuid4

from kombu import Connection  # type: ignore[attr-defined] # kombu exports it lazily

fields = json.load(sys.stdin)
task_id = str(uuid4())
with Connection(sys.argv[1]) as connection:  # type: ignore[no-untyped-call] # kombu has not typed it
    connection.Producer().publish(
        [[], fields, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
        routing_key="accept",
        serializer="json",
        headers={"lang": "py", "task": "messages.accept", "id": task_id, "root_id": task_id, "parent_id": None},
        correlation_id=task_id,
    )
