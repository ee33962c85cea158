"""Sign the keyword arguments of a direct send, and check such a signature. Senders in Python may use it too.

A signing key is a text: `sg_`, 16 hexadecimal digits, `_` and 43 characters. Its first 19 characters are its `key_id`.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime

KEY_ID, ISSUED_AT, SIGNATURE = "key_id", "issued_at", "signature"
SIGNATURE_FIELDS = (KEY_ID, ISSUED_AT, SIGNATURE)
"""The keyword arguments that a signature consists of."""

_KEY_ID_LENGTH = 19


class NotSignable(ValueError):  # noqa: N818 - a fact about the fields
    """The fields hold something else than texts and lists of texts."""


def sign(fields: Mapping[str, object], signing_key: str) -> dict[str, object]:
    """Return these fields with `key_id`, `issued_at` (now) and `signature`.

    Raises `NotSignable` unless every value is a text or a list of texts: write a UUID as its text.
    """
    signed = {**fields, KEY_ID: signing_key[:_KEY_ID_LENGTH], ISSUED_AT: datetime.now(UTC).isoformat()}
    signed.pop(SIGNATURE, None)
    return {**signed, SIGNATURE: signature_of(signed, signing_key)}


def signature_of(fields: Mapping[str, object], signing_key: str) -> str:
    """Return the signature of all fields but `signature`, as base64url without padding. Raises `NotSignable`."""
    content = canonical_form({name: value for name, value in fields.items() if name != SIGNATURE})
    return urlsafe_b64encode(hmac.digest(signing_key.encode(), content, hashlib.sha256)).rstrip(b"=").decode("ascii")


def is_signed(fields: Mapping[str, object], signing_key: str) -> bool:
    """Check the signature in these fields, in constant time. What cannot be signed is not signed."""
    given = fields.get(SIGNATURE)
    if not isinstance(given, str) or not given.isascii():
        return False
    try:
        return hmac.compare_digest(signature_of(fields, signing_key), given.rstrip("="))
    except NotSignable:
        return False


def canonical_form(fields: Mapping[str, object]) -> bytes:
    """Return the form of RFC 8785 of an object of texts and lists of texts. Raises `NotSignable` for anything else."""
    for value in fields.values():
        if not all(isinstance(each, str) for each in (value if isinstance(value, list | tuple) else [value])):
            raise NotSignable("only texts and lists of texts can be signed")
    try:
        # RFC 8785 3.2.3 sorts names by their UTF-16 code units. Python escapes texts as 3.2.2.2 says.
        ordered = dict(sorted(fields.items(), key=lambda field: field[0].encode("utf-16-be")))
        return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise NotSignable("a lone surrogate cannot be signed") from error
