"""Signed tokens that let the reader of a mail unsubscribe its account without a login, and the URLs that carry them."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

LIFETIME = timedelta(days=365)
PATH = "/unsubscribe"

# Derives a key of its own from the pepper, so that no other digest under the pepper is a valid signature.
_CONTEXT = b"postroom unsubscribe 1"
_UUID_BYTES = 16
_INSTANT_BYTES = 5
_SIGNATURE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Permit:
    """What a valid token allows: to change the channel of this account until the token expires."""

    account_id: UUID
    expires_at: datetime


def write_token(permit: Permit, pepper: SecretStr) -> str:
    """Return a signed token. It holds the account's id and the time of expiry in plain form, and nothing else."""
    content = permit.account_id.bytes + int(permit.expires_at.timestamp()).to_bytes(_INSTANT_BYTES, "big")
    return base64.urlsafe_b64encode(content + _sign(content, pepper)).decode().rstrip("=")


def read_token(token: str, pepper: SecretStr) -> Permit | None:
    """Read a token that we signed; None for any other text. The caller checks whether it has expired."""
    try:
        signed = base64.b64decode(token.encode("ascii") + b"==", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    content, signature = signed[:-_SIGNATURE_BYTES], signed[-_SIGNATURE_BYTES:]
    if len(content) != _UUID_BYTES + _INSTANT_BYTES or not hmac.compare_digest(_sign(content, pepper), signature):
        return None
    seconds = int.from_bytes(content[_UUID_BYTES:], "big")
    return Permit(UUID(bytes=content[:_UUID_BYTES]), datetime.fromtimestamp(seconds, UTC))


def unsubscribe_address(public_url: str, account_id: UUID, now: datetime, pepper: SecretStr) -> str | None:
    """Return the URL of this account's unsubscribe page, valid for a year from `now`; None without a public URL."""
    if not public_url:
        return None
    return f"{public_url.rstrip('/')}{PATH}/{write_token(Permit(account_id, now + LIFETIME), pepper)}"


def _sign(content: bytes, pepper: SecretStr) -> bytes:
    key = hmac.digest(pepper.get_secret_value().encode(), _CONTEXT, hashlib.sha256)
    return hmac.digest(key, content, hashlib.sha256)[:_SIGNATURE_BYTES]
