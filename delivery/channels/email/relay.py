"""The relay: the mail server that takes all outgoing mail, read from the setting `smtp_url`."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

_DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_NO_RELAY = (
    "SMTP_URL must be smtp://HOST, smtp+starttls://HOST or smtps://HOST, with :PORT if needed. "
    "In user and password, write other characters than letters and digits as %XX."
)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Relay:
    """How to reach the relay. `user` and `password` are both set or both None."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: SecretStr | None


def read_relay(url: SecretStr) -> Relay:
    """Read a URL such as `smtp+starttls://user:password@host:587`.

    Raises `ValueError` for an invalid or unsafe URL, without showing it: it may hold a password.
    """
    try:
        parts = urlsplit(url.get_secret_value())
        port = parts.port
    except ValueError:
        # The library's message quotes what it could not read, which may be a part of the password.
        raise ValueError(_NO_RELAY) from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(_NO_RELAY)
    if bool(parts.username) != bool(parts.password):
        raise ValueError("SMTP_URL needs both a user and a password, or neither.")
    if parts.username and parts.scheme == "smtp" and parts.hostname not in _LOOPBACK:
        raise ValueError("SMTP_URL has a password and no encryption. Use smtp+starttls:// or smtps://.")
    return Relay(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or _DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username) if parts.username else None,
        password=SecretStr(unquote(parts.password)) if parts.password else None,
    )
