"""The secrets of staff: passwords, tokens of logins, one-time codes, and the tokens of their forms."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from uuid import UUID

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import SecretStr

_ISSUER = "Postroom"
_STEP_S = 30
# 19 MiB and two passes: the OWASP minimum for Argon2id. A login takes about 30 ms of CPU, on a thread of its own.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# The digest of a password that no person has: a login under an unknown name takes as long as one under a known name.
_OF_NO_PERSON = "$argon2id$v=19$m=19456,t=2,p=1$h+yKzz9I2acz+AFTNoaE7w$TYwCqpYTxs7v7sjBlD5kGfI4J7vO8IxsZDIYQfPOYDk"
SHORTEST_PASSWORD = 12
"""Characters that a password has at least."""
LONGEST_PASSWORD = 256
"""Characters that are read of a password at most."""


def digest_password(password: str) -> str:
    """Return what is stored of a password: its Argon2id digest, with salt and parameters."""
    return _HASHER.hash(password)


def is_password(password: str, stored: str | None) -> bool:
    """Check a password against its stored digest. None stands for an unknown person, and takes as long."""
    try:
        return _HASHER.verify(stored or _OF_NO_PERSON, password[:LONGEST_PASSWORD]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def generate_password() -> str:
    """Return a password of 96 random bits that a person can copy."""
    return "-".join(secrets.token_hex(3) for _ in range(4))


def generate_token() -> str:
    """Return the token of a login, of 256 random bits."""
    return secrets.token_urlsafe(32)


def digest_token(token: str, pepper: SecretStr) -> bytes:
    """Return what is stored of the token of a login."""
    return _keyed("postroom desk login", token, pepper)


def form_token(token: str, pepper: SecretStr) -> str:
    """Return the token that each form of a login carries, so that no other site can send one."""
    return _keyed("postroom desk form", token, pepper).hex()


def is_form_token(given: str, token: str, pepper: SecretStr) -> bool:
    """Check the token of a form, in constant time."""
    return hmac.compare_digest(given.encode(), form_token(token, pepper).encode())


def hide_name(name: str, pepper: SecretStr) -> str:
    """Return a keyed digest of a name as it was typed at the login. Some people type their password there."""
    return _keyed("postroom desk name", name.strip().lower(), pepper).hex()[:32]


def generate_totp_secret() -> str:
    """Return a secret for one-time codes (RFC 6238), as authenticators read it."""
    return pyotp.random_base32()


TOTP_NAME = "one-time codes of "
"""What the name begins with under which the secret of one-time codes is sealed; the id of the person follows."""


def totp_name(staff_id: UUID) -> str:
    """Return the name under which the secret of a person's one-time codes is sealed."""
    return f"{TOTP_NAME}{staff_id}"


def totp_address(secret: str, name: str) -> str:
    """Return the `otpauth:` address that an authenticator takes."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)


def totp_step(secret: str, code: str, now: datetime | None = None) -> int | None:
    """Return the step of time that this code is of: this one or a neighbour. None for a wrong code."""
    at = int((now or datetime.now(UTC)).timestamp()) // _STEP_S
    totp = pyotp.TOTP(secret)
    given = code.replace(" ", "")
    matches = [
        step for step in (at - 1, at, at + 1) if hmac.compare_digest(totp.generate_otp(step).encode(), given.encode())
    ]
    return matches[-1] if matches else None


def _keyed(purpose: str, text: str, pepper: SecretStr) -> bytes:
    return hmac.digest(pepper.get_secret_value().encode(), f"{purpose}\0{text}".encode(), hashlib.sha256)
