"""Check settings when a process starts, so that no message is the first to meet a wrong address or header."""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from urllib.parse import SplitResult, quote, urlsplit

from delivery.detection.folding import fold
from delivery.detection.sender_names import misleading_name

_DATABASE_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
_DATABASE_FORM = "write postgresql://USER:PASSWORD@HOST:PORT/NAME, with several HOST:PORT separated by commas"
_BROKER_FORM = "write redis://HOST:PORT/0, rediss://HOST:PORT/0 or unix:///PATH?db=0"
_RELAY_SCHEMES = frozenset({"smtp", "smtp+starttls", "smtps"})
_RELAY_FORM = "write smtp://HOST, smtp+starttls://HOST or smtps://HOST, with :PORT if needed"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ESCAPES = "in user and password, write other characters than letters and digits as %XX"
KEY_TYPES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""The `kty` of the keys of each signature algorithm that an issuer may use (RFC 7518 6.1)."""

NUMBER_LIMIT = 1_000_000_000
"""The largest number of any setting: as seconds it is 31 years, and it fits into every column and timeout."""

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_PLATFORM_NAME_LIMIT = 60  # So that it fits into a line of a header beside a sender's name.
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_DOMAIN_LIMIT = (
    190  # Its longest use, `bounces+r9223372036854775807@DOMAIN`, stays within 254 bytes (RFC 5321 4.5.3.1).
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # A token (RFC 9110 5.1).
_TAKEN_HEADERS = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "prefer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    }
)


def check_no_line_end(value: str) -> str:
    """Return the value. Raises `ValueError` where it holds a line end, as a `.env` file with Windows line ends does."""
    if "\r" in value or "\n" in value:
        raise ValueError("holds a line end; was the file saved with Windows line ends (CRLF)? Save it with LF")
    if "\0" in value:
        raise ValueError("holds a NUL character; was the file saved as UTF-16? Save it as UTF-8")
    return value


def check_number(value: float) -> float:
    """Return the number. Raises `ValueError` where clocks, sockets and columns could not hold it."""
    if not -NUMBER_LIMIT <= value <= NUMBER_LIMIT:  # NaN compares with nothing.
        raise ValueError(f"must be a number of at most {NUMBER_LIMIT:,}")
    return value


def check_log_level(level: str) -> str:
    """Return the level. Raises `ValueError` where there is none of this name."""
    if level.upper() not in _LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(_LOG_LEVELS)}")
    return level


def check_public_url(url: str) -> str:
    """Return the URL. Raises `ValueError` where no link in a mail could begin with it."""
    parts = _split(url, "write https://HOST, with :PORT if needed")
    if url and (not parts.hostname or parts.port == 0 or parts.username is not None):
        raise ValueError("must be the address that readers of mails open: https://HOST, without user and password")
    return url


def split_list(values: str) -> tuple[str, ...]:
    """Return the parts of a setting whose values are separated by `|`, without blank ones."""
    return tuple(value for value in values.split("|") if value.strip())


def check_phrases(phrases: str) -> str:
    """Return the list. Raises `ValueError` where a part has no letter or digit: no text would ever be found by it."""
    if not all(fold(phrase).letters for phrase in split_list(phrases)):
        raise ValueError("has a part without a letter or digit between two |, which would be found in no text")
    return phrases


def check_platform_names(names: str) -> str:
    """Return the list. Raises `ValueError` where a part could not be read in a From header."""
    check_phrases(names)
    if any(misleading_name(name, ()) or len(name) > _PLATFORM_NAME_LIMIT for name in split_list(names)):
        raise ValueError("must be plain names such as Lingua Square, separated by |; no address, no hidden character")
    return names


def database_url(url: str) -> str:
    """Return the address in the form that SQLAlchemy reads.

    `postgres://`, as hosting services write it, is taken. Several hosts with `target_session_attrs`, libpq's form of
    an address with failover, are rewritten. Raises `ValueError` with a sentence that shows nothing of the address.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"is no address; {_DATABASE_FORM}; {_ESCAPES}") from None
    if parts.scheme not in _DATABASE_SCHEMES:
        raise ValueError(f"is no PostgreSQL address; {_DATABASE_FORM}")
    user, at, places = parts.netloc.rpartition("@")
    hosts = [_host_and_port(place) for place in places.split(",")]
    if len(hosts) == 1:
        return f"postgresql{url[len(parts.scheme) :]}"
    given = f"host={','.join(host for host, _ in hosts)}&port={','.join(port or '5432' for _, port in hosts)}"
    return f"postgresql://{user}{at}{parts.path or '/'}?{'&'.join(filter(None, (given, parts.query)))}"


def _host_and_port(place: str) -> tuple[str, str]:
    host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not colon:
        return place, ""
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"has a port that is no number from 1 to 65535; {_DATABASE_FORM}; {_ESCAPES}")
    return host, port


def with_password(url: str, password: str, *, variable: str) -> str:
    """Return the address with the password that came in `variable`. Raises `ValueError` where it has one already."""
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    user, _, hosts = place.rpartition("@")
    if ":" in user:
        raise ValueError(f"has a password, and {variable} is another; leave one of them out")
    if not user and scheme == "postgresql":
        raise ValueError(f"names no user for the password in {variable}; {_DATABASE_FORM}")
    return f"{scheme}://{user}:{quote(password, safe='')}@{hosts}{slash}{path}"


def _split(url: str, form: str) -> SplitResult:
    """Split an address. Raises `ValueError` where it or its port cannot be read; `form` says how to write it."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # It is read on access.
    except ValueError:
        # The library's message quotes what it could not read, which may be a part of the password.
        raise ValueError(f"is no address; {form}; {_ESCAPES}") from None
    return parts


def check_broker_url(url: str) -> str:
    """Return the address. Raises `ValueError` with a sentence where neither we nor Celery could use it."""
    place = url.partition("://")[2].partition("/")[0]
    if url.startswith("sentinel") or any(mark in place.rpartition("@")[2] for mark in ",;"):
        raise ValueError(f"names several servers or a Sentinel, and takes one address; {_BROKER_FORM}")
    parts = _split(url, _BROKER_FORM)
    if parts.scheme in {"valkey", "valkeys"}:
        raise ValueError(
            f"is spelled {'redis' if parts.scheme == 'valkey' else 'rediss'}:// for Valkey too; {_BROKER_FORM}"
        )
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError(f"names no socket; {_BROKER_FORM}")
        return url
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or parts.port == 0:
        raise ValueError(f"is no address of Redis or Valkey; {_BROKER_FORM}")
    number = parts.path.strip("/")
    if number and not (number.isascii() and number.isdecimal()):
        raise ValueError(f"must end in the number of a database, such as /0; {_BROKER_FORM}")
    return url


def check_relay_url(url: str) -> str:
    """Return the address. Raises `ValueError` with a sentence that shows nothing of it: it may hold a password."""
    parts = _split(url, _RELAY_FORM)
    if parts.scheme not in _RELAY_SCHEMES or not parts.hostname or parts.port == 0:
        raise ValueError(f"is no address of a mail relay; {_RELAY_FORM}; {_ESCAPES}")
    if bool(parts.username) != bool(parts.password):
        raise ValueError("needs both a user and a password, or neither")
    if parts.username and parts.scheme == "smtp" and parts.hostname not in _LOOPBACK:
        raise ValueError("has a password and no encryption; use smtp+starttls:// or smtps://")
    return url


def check_mail_domain(domain: str) -> str:
    """Return the domain. Raises `ValueError` where it could not stand in an address, a greeting or a Message-ID."""
    if domain.isascii():
        labels = domain.split(".")
        if (
            len(domain) <= _DOMAIN_LIMIT
            and all(_LABEL.fullmatch(label) for label in labels)
            and not labels[-1].isdecimal()
        ):
            return domain
        raise ValueError("must be a domain alone, such as mail.example.com: no blank, @, ://, port, or IP address")
    raise ValueError(f"must be ASCII; write {_ascii_form(domain)}")


def _ascii_form(domain: str) -> str:
    try:
        return domain.strip().encode("idna").decode("ascii")
    except UnicodeError:
        return "its form that begins with xn--"


def check_header_name(name: str) -> str:
    """Return the name. Raises `ValueError` where HTTP has no such header, or another meaning for it."""
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _TAKEN_HEADERS:
        raise ValueError("must be the name of an HTTP header that has no other meaning, such as X-Proz-API-Key")
    return name


def check_proxies(proxies: str) -> str:
    """Return the list. Raises `ValueError` where one of them is neither an address nor a network."""
    for proxy in filter(None, (each.strip() for each in proxies.split(","))):
        try:
            ip_network(proxy, strict=False)
        except ValueError:
            raise ValueError("must be IP addresses or networks separated by commas, such as 10.0.0.0/8,::1") from None
    return proxies


def check_algorithms(algorithms: str) -> str:
    """Return the list. Raises `ValueError` unless they are asymmetric and of one family."""
    # No symmetric algorithms: they would accept a token that was signed with the public key as its secret.
    families = {KEY_TYPES.get(each) for each in algorithms.split()}
    if len(families) != 1 or None in families:
        raise ValueError(f"name algorithms of one family, out of {', '.join(KEY_TYPES)}")
    return algorithms


def check_issuer_url(url: str) -> str:
    """Return the URL. Raises `ValueError` where it is not encrypted, except on this machine; empty means none."""
    parts = _split(url, "use an https:// URL, or http:// for this machine")
    is_loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if url and not (parts.hostname and (parts.scheme == "https" or is_loopback)):
        raise ValueError("use an https:// URL, or http:// for this machine")
    return url


class UnusableSetting(Exception):  # noqa: N818 - a fact about the setting
    """A setting that is well-formed and does not work in this process; the text names the variable."""


CHECKS: Mapping[str, Callable[[str], str]] = {
    "api_key_header": check_header_name,
    "broker_url": check_broker_url,
    "database_url": database_url,
    "hold_phrases": check_phrases,
    "issuer_algorithms": check_algorithms,
    "issuer_introspection_url": check_issuer_url,
    "issuer_jwks_url": check_issuer_url,
    "log_level": check_log_level,
    "mail_domain": check_mail_domain,
    "platform_names": check_platform_names,
    "public_url": check_public_url,
    "smtp_url": check_relay_url,
    "trusted_proxies": check_proxies,
}
"""By the field of `Settings`: each returns the value to use, or raises `ValueError` with a sentence."""
