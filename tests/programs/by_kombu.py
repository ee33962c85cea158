"""Send by a bare kombu producer: BROKER-URL and SIGNING-KEY as arguments, the fields as JSON on stdin."""

import hmac
import json
import sys
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from kombu import Connection  # type: ignore[attr-defined] # kombu exports it lazily


def signed(fields: dict[str, Any], signing_key: str) -> dict[str, Any]:
    """Sign as docs/direct-sends.md says: HMAC-SHA256 over the RFC 8785 form of all fields."""
    fields = {**fields, "key_id": signing_key[:19], "issued_at": datetime.now(UTC).isoformat()}
    content = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    digest = hmac.digest(signing_key.encode(), content, "sha256")
    return {**fields, "signature": urlsafe_b64encode(digest).rstrip(b"=").decode()}


fields = signed(json.load(sys.stdin), sys.argv[2])
task_id = str(uuid4())
with Connection(sys.argv[1]) as connection:  # type: ignore[no-untyped-call] # kombu has not typed it
    connection.Producer().publish(
        [[], fields, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
        routing_key="accept",
        serializer="json",
        headers={"lang": "py", "task": "messages.accept", "id": task_id, "root_id": task_id, "parent_id": None},
        correlation_id=task_id,
    )
