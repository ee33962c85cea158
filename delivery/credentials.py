"""API keys, client secrets and access tokens: made once, shown once, kept only as a keyed digest."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from pydantic import SecretStr

from delivery.vocabulary import CredentialKind

_MARKS = {CredentialKind.API_KEY: "pk", CredentialKind.CLIENT_SECRET: "cs", CredentialKind.ACCESS_TOKEN: "at"}
_PREFIX = rf"(?:{'|'.join(_MARKS.values())})_[0-9a-f]{{16}}"
_FORM = re.compile(rf"({_PREFIX})_([0-9a-zA-Z_-]{{43}})", re.ASCII)
_PREFIX_BYTES = 8
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A fresh credential. `text` is what the client gets, this once; `prefix` and `digest` are what is stored."""

    kind: CredentialKind
    text: SecretStr
    prefix: str
    digest: bytes


def generate_credential(kind: CredentialKind, pepper: SecretStr) -> NewCredential:
    """Make a new credential with 256 bits of chance; that needs no slow hash, only a keyed one."""
    prefix = f"{_MARKS[kind]}_{secrets.token_hex(_PREFIX_BYTES)}"
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return NewCredential(kind, SecretStr(f"{prefix}_{secret}"), prefix, digest(secret, pepper))


def parse_credential(text: str, kind: CredentialKind | None = None) -> tuple[str, str] | None:
    """Part a credential into its public prefix and its secret; None for a text that has not its form.

    Where a kind is given, a credential of another kind is none either.
    """
    match = _FORM.fullmatch(text)
    if match is None or (kind is not None and not match[1].startswith(f"{_MARKS[kind]}_")):
        return None
    return match[1], match[2]


def is_prefix(text: str) -> bool:
    """Say whether a text is the public prefix of a credential, alone."""
    return re.fullmatch(_PREFIX, text, re.ASCII) is not None


def digest(secret: str, pepper: SecretStr) -> bytes:
    """Compute what is stored of a secret: HMAC-SHA256 under the server's pepper."""
    return hmac.digest(pepper.get_secret_value().encode(), secret.encode(), hashlib.sha256)


def is_match(secret: str, stored: bytes, pepper: SecretStr) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(digest(secret, pepper), stored)
