"""The relay: the mail server that takes all outgoing mail, read from the setting `smtp_url`."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from delivery.setting_checks import check_relay_url

_DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


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
    parts = urlsplit(check_relay_url(url.get_secret_value()))
    return Relay(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or _DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username) if parts.username else None,
        password=SecretStr(unquote(parts.password)) if parts.password else None,
    )
