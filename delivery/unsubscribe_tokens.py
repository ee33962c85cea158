"""Signed tokens that let the reader of a mail unsubscribe its account without a login, and the URLs that carry them."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

from delivery.rules.preferences import fold_sender

LIFETIME = timedelta(days=365)
PATH = "/unsubscribe"

# Each derives a key of its own from the pepper, so that no other digest under the pepper is a valid signature.
_CONTEXT = b"postroom unsubscribe 1"
_CONTEXT_WITH_ADDRESS = b"postroom unsubscribe 2"
_CONTEXT_OF_ADDRESS = b"postroom unsubscribe address"
_UUID_BYTES = 16
_INSTANT_BYTES = 5
_ADDRESS_BYTES = 5
_SIGNATURE_BYTES = 16
_PLAIN_BYTES = _UUID_BYTES + _INSTANT_BYTES
# A mail gateway or a person that copies a link may add something around its token.
_TOKEN = re.compile(r"[^A-Za-z0-9_-]*+([A-Za-z0-9_-]++)[^A-Za-z0-9_-]*+")


@dataclass(frozen=True, slots=True)
class Permit:
    """What a valid token allows: to change the channel of this account until the token expires.

    It has a digest of the address that the mail went to, and ends when the account gets another address. Tokens of
    versions before have none, and end only when they expire.
    """

    account_id: UUID
    expires_at: datetime
    address_digest: bytes | None = None


def digest_address(address: str, pepper: SecretStr) -> bytes:
    """Return a short keyed digest of an address. It does not reveal the address, and ignores case."""
    return _keyed(_CONTEXT_OF_ADDRESS, fold_sender(address).encode(), pepper)[:_ADDRESS_BYTES]


def write_token(permit: Permit, pepper: SecretStr) -> str:
    """Return a signed token. It holds the permit in plain form, and nothing else."""
    content = permit.account_id.bytes + int(permit.expires_at.timestamp()).to_bytes(_INSTANT_BYTES, "big")
    content += permit.address_digest or b""
    return base64.urlsafe_b64encode(content + _sign(content, pepper)).decode().rstrip("=")


def read_token(token: str, pepper: SecretStr) -> Permit | None:
    """Read a token that we signed; None for any other text. The caller checks whether it has ended."""
    found = _TOKEN.fullmatch(token)
    try:
        signed = base64.urlsafe_b64decode(found[1] + "==") if found else b""
    except binascii.Error:
        return None
    content, signature = signed[:-_SIGNATURE_BYTES], signed[-_SIGNATURE_BYTES:]
    if len(content) not in {_PLAIN_BYTES, _PLAIN_BYTES + _ADDRESS_BYTES}:
        return None
    if not hmac.compare_digest(_sign(content, pepper), signature):
        return None
    seconds = int.from_bytes(content[_UUID_BYTES:_PLAIN_BYTES], "big")
    expires_at = datetime.fromtimestamp(seconds, UTC)
    return Permit(UUID(bytes=content[:_UUID_BYTES]), expires_at, content[_PLAIN_BYTES:] or None)


def unsubscribe_address(
    public_url: str, account_id: UUID, now: datetime, pepper: SecretStr, address: str | None = None
) -> str | None:
    """Return the URL of this account's unsubscribe page, valid for a year from `now`; None without a public URL.

    With `address`, to which the mail goes, it is valid only as long as the account has that address.
    """
    if not public_url:
        return None
    permit = Permit(account_id, now + LIFETIME, None if address is None else digest_address(address, pepper))
    return f"{public_url.rstrip('/')}{PATH}/{write_token(permit, pepper)}"


def _sign(content: bytes, pepper: SecretStr) -> bytes:
    context = _CONTEXT if len(content) == _PLAIN_BYTES else _CONTEXT_WITH_ADDRESS
    return _keyed(context, content, pepper)[:_SIGNATURE_BYTES]


def _keyed(context: bytes, content: bytes, pepper: SecretStr) -> bytes:
    key = hmac.digest(pepper.get_secret_value().encode(), context, hashlib.sha256)
    return hmac.digest(key, content, hashlib.sha256)
