"""API keys, secrets, access tokens and signing keys: generated, shown once, stored as a keyed digest or sealed."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace

from pydantic import SecretStr

from delivery.sealing import seal
from delivery.vocabulary import CredentialKind

_KIND_PREFIXES = {
    CredentialKind.API_KEY: "pk",
    CredentialKind.CLIENT_SECRET: "cs",
    CredentialKind.ACCESS_TOKEN: "at",
    CredentialKind.SIGNING_KEY: "sg",
}
_PREFIX = rf"(?:{'|'.join(_KIND_PREFIXES.values())})_[0-9a-f]{{16}}"
_CREDENTIAL = re.compile(rf"({_PREFIX})_([0-9a-zA-Z_-]{{43}})", re.ASCII)
_PREFIX_BYTES = 8
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A new credential. `text` is shown to the client, only now; the others are stored, `sealed` of a signing key."""

    kind: CredentialKind
    text: SecretStr
    prefix: str
    digest: bytes
    sealed: bytes | None = None


def generate_credential(kind: CredentialKind, pepper: SecretStr) -> NewCredential:
    """Generate a credential with a secret of 256 random bits, which a fast keyed hash protects well enough."""
    prefix = f"{_KIND_PREFIXES[kind]}_{secrets.token_hex(_PREFIX_BYTES)}"
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return NewCredential(kind, SecretStr(f"{prefix}_{secret}"), prefix, digest(secret, pepper))


def generate_signing_key(pepper: SecretStr, sealing_key: SecretStr) -> NewCredential:
    """Generate a signing key, and seal its whole text for the database."""
    fresh = generate_credential(CredentialKind.SIGNING_KEY, pepper)
    return replace(fresh, sealed=seal(fresh.text.get_secret_value(), fresh.prefix, sealing_key))


def parse_credential(text: str, kind: CredentialKind | None = None) -> tuple[str, str] | None:
    """Split a credential into its public prefix and its secret; None for any other text.

    With a `kind`, a credential of another kind gives None too.
    """
    match = _CREDENTIAL.fullmatch(text)
    if match is None or (kind is not None and not match[1].startswith(f"{_KIND_PREFIXES[kind]}_")):
        return None
    return match[1], match[2]


def is_prefix(text: str) -> bool:
    """Check whether a text is the public prefix of a credential and nothing more."""
    return re.fullmatch(_PREFIX, text, re.ASCII) is not None


def digest(secret: str, pepper: SecretStr) -> bytes:
    """Return what is stored of a secret: its HMAC-SHA256 under the server's pepper."""
    return hmac.digest(pepper.get_secret_value().encode(), secret.encode(), hashlib.sha256)


def is_match(secret: str, stored: bytes, pepper: SecretStr) -> bool:
    """Check a secret against a stored digest, in constant time."""
    return hmac.compare_digest(digest(secret, pepper), stored)
