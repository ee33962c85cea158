"""Find out whose task it is that cannot be read, so that its sender sees the refusal."""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from uuid import UUID

HEAD_LIMIT_BYTES = 8 * 1024 * 1024
"""How much of a task is looked at. It is more than `TASK_LIMIT_BYTES`, so what is cut is always refused."""

# The quantifiers are possessive: no input is scanned twice.
# A task that was cut may end within its body.
_BODY = re.compile(rb'"body"\s*+:\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)', re.DOTALL)
_TEXT = re.compile(rb'"(message_uuid|token)"\s*+:\s*+"([^"\\]{1,200}+)"')
_UUID = re.compile(
    rb'"(message_uuid)"\s*+:\s*+\{\s*+"__type__"\s*+:\s*+"uuid"\s*+,'
    rb'\s*+"__value__"\s*+:\s*+\{\s*+"hex"\s*+:\s*+"([0-9a-fA-F]{32})"'
)


def find_sender(task: bytes) -> Mapping[str, object]:
    """Return the first `message_uuid` and `token` that the body of a task names, as far as it has them.

    It does not parse the body: that may be too long, too deep, or no JSON. The caller must verify the token.
    """
    head = task[:HEAD_LIMIT_BYTES]
    found = _BODY.search(head)
    # A program may have left out the envelope.
    body = (_decode(found[1]) if found else b"") + b"\n" + head
    texts = [(name.decode(), value.decode("utf-8", "replace")) for name, value in _TEXT.findall(body)]
    uuids = [(name.decode(), str(UUID(hex=digits.decode()))) for name, digits in _UUID.findall(body)]
    return dict(reversed([*texts, *uuids]))


def _decode(quoted: bytes) -> bytes:
    """Undo the JSON text and, where it is one, the base64 in it."""
    try:
        text = str(json.loads(quoted + b'"', strict=False)).encode("utf-8", "replace")
    except ValueError:
        return b""
    packed = b"".join(text.split())
    try:
        return b64decode(packed[: len(packed) // 4 * 4], validate=True)
    except binascii.Error:
        return text
