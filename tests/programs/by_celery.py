"""Send as a service with its own Celery does: BROKER-URL and SIGNING-KEY as arguments, the fields as JSON on stdin."""

import hmac
import json
import sys
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

from celery import Celery


def signed(fields: dict[str, Any], signing_key: str) -> dict[str, Any]:
    """Sign as docs/direct-sends.md says: HMAC-SHA256 over the RFC 8785 form of all fields."""
    fields = {**fields, "key_id": signing_key[:19], "issued_at": datetime.now(UTC).isoformat()}
    content = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    digest = hmac.digest(signing_key.encode(), content, "sha256")
    return {**fields, "signature": urlsafe_b64encode(digest).rstrip(b"=").decode()}


app = Celery(broker=sys.argv[1])
fields = signed(json.load(sys.stdin), sys.argv[2])
# The queue ignores options that it does not use.
app.send_task("messages.accept", kwargs=fields, queue="accept", countdown=3600, expires=1, priority=5)
