"""Seal signing keys at rest: they verify signatures, so a digest of them is not enough."""

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12  # NIST SP 800-38D 8.2.2: random, for far fewer than 2^32 keys.
_PURPOSE = b"postroom: signing keys at rest"


class SealBroken(Exception):  # noqa: N818 - a fact about a stored key
    """A sealed secret cannot be opened: the setting has changed, or the row is not what was stored."""


def seal(secret: str, name: str, sealing_key: SecretStr) -> bytes:
    """Encrypt a secret by AES-256-GCM. It opens only under the same name and the same setting."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(sealing_key).encrypt(nonce, secret.encode(), name.encode())


def open_sealed(sealed: bytes, name: str, sealing_key: SecretStr) -> str:
    """Return the secret in what `seal` returned. Raises `SealBroken`."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see `_cipher`

    nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return _cipher(sealing_key).decrypt(nonce, content, name.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise SealBroken(name) from error


def _cipher(sealing_key: SecretStr) -> "AESGCM":
    # Imported on first use: a worker seals nothing, and need not load its 7 MB.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    return AESGCM(hmac.digest(sealing_key.get_secret_value().encode(), _PURPOSE, hashlib.sha256))
