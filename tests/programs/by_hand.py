"""Send by redis-py alone, without Celery: REDIS-URL and SIGNING-KEY as arguments, the fields as JSON on stdin."""

import hmac
import json
import sys
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import redis


def signed(fields: dict[str, Any], signing_key: str) -> dict[str, Any]:
    """Sign as docs/direct-sends.md says: HMAC-SHA256 over the RFC 8785 form of all fields."""
    fields = {**fields, "key_id": signing_key[:19], "issued_at": datetime.now(UTC).isoformat()}
    content = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    digest = hmac.digest(signing_key.encode(), content, "sha256")
    return {**fields, "signature": urlsafe_b64encode(digest).rstrip(b"=").decode()}


body = json.dumps([[], signed(json.load(sys.stdin), sys.argv[2]), None]).encode()
task = {
    "body": b64encode(body).decode(),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"task": "messages.accept", "id": str(uuid4())},
    "properties": {"body_encoding": "base64", "delivery_tag": str(uuid4()), "delivery_info": {}},
}
redis.Redis.from_url(sys.argv[1]).lpush("accept", json.dumps(task))
