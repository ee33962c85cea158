"""Why the database cannot be used: its errors, told apart by what an operator has to do."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from psycopg.errors import ConnectionTimeout, Diagnostic
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_WORDS_LIMIT = 400


class OutageCause(StrEnum):
    """What is wrong with the database, or with the way to it."""

    LOGIN = "login"
    TLS = "tls"
    NO_DATABASE = "no_database"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    POOLER = "pooler"
    UNREACHABLE = "unreachable"
    STARTING = "starting"
    READ_ONLY = "read_only"
    DISK_FULL = "disk_full"
    SLOW = "slow"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Outage:
    """A cause, and what the server says: its SQLSTATE, where it sent one, and its words without any parameter."""

    cause: OutageCause
    sqlstate: str | None = None
    words: str = ""


# By the first characters of the SQLSTATE (appendix A of PostgreSQL's manual). Only the words of these are shown: they
# are about the server, while those of other classes may quote a value.
_BY_SQLSTATE: Mapping[str, OutageCause] = {
    "28": OutageCause.LOGIN,
    "3D": OutageCause.NO_DATABASE,
    "53300": OutageCause.TOO_MANY_CONNECTIONS,
    "53100": OutageCause.DISK_FULL,
    "53": OutageCause.SLOW,
    "57P01": OutageCause.STARTING,
    "57P02": OutageCause.STARTING,
    "57P03": OutageCause.STARTING,
    "57014": OutageCause.SLOW,
    "25006": OutageCause.READ_ONLY,
    "25P03": OutageCause.SLOW,
    "55P03": OutageCause.SLOW,
    "40P01": OutageCause.SLOW,
    "08": OutageCause.UNREACHABLE,
    "58": OutageCause.OTHER,
}
# libpq passes no SQLSTATE on when a connection cannot be opened, so its words decide. The first match counts:
# "unreachable" stands last, because libpq begins every sentence with "connection to server ... failed".
_BY_WORDS: Mapping[OutageCause, tuple[str, ...]] = {
    # PgBouncer's own refusals, of 1.18 and later.
    OutageCause.POOLER: (
        "unsupported startup parameter",
        "query_wait_timeout",
        "pgbouncer",
        "server login has been failing",
    ),
    OutageCause.TOO_MANY_CONNECTIONS: (
        *("too many clients", "too many connections", "remaining connection slots", "no more connections allowed"),
    ),
    # "SSL encryption" ends the refusal of a login that came over TLS.
    OutageCause.TLS: (r"\bssl\b(?! encryption)", r"\btls\b", "certificate", "no encryption"),
    OutageCause.NO_DATABASE: (r"database \S+ does not exist", "no such database"),
    OutageCause.LOGIN: (
        *("authentication failed", "auth failed", "no password supplied", "no such user", r"pg_hba\.conf"),
        *(r"role \S+ does not exist", "not permitted to log in", "permission denied for database"),
    ),
    OutageCause.STARTING: ("starting up", "shutting down", "in recovery mode", "not yet accepting"),
    OutageCause.READ_ONLY: ("session is read-only", "session is not read-only", "in hot standby"),
    OutageCause.UNREACHABLE: (
        *(
            "refused",
            "timeout expired",
            "timed out",
            "no route",
            "unreachable",
            "no such file",
            "is the server running",
        ),
        *("could not translate", "not known", "resolve", "closed the connection", "connection reset"),
        *("could not receive", "could not send"),
    ),
}
_PATTERNS = {cause: re.compile("|".join(words), re.IGNORECASE) for cause, words in _BY_WORDS.items()}


def explain_outage(error: BaseException) -> Outage:
    """Return the cause of an error that a use of the database raised; also of one that was raised because of it."""
    for each in _chain(error):
        if isinstance(each, psycopg.Error):
            return _of_the_server(each)
        if isinstance(each, PoolTimeout):
            return Outage(OutageCause.SLOW, words="every connection of this process is in use")
    if isinstance(error, TimeoutError):
        return Outage(OutageCause.SLOW, words="no answer in time")
    return Outage(OutageCause.OTHER)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what the driver raised beneath it, and what it was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, DBAPIError) and seen.orig is not None:
            yield seen.orig
        seen = seen.__cause__


def _of_the_server(error: psycopg.Error) -> Outage:
    sqlstate = error.sqlstate
    if sqlstate is None:
        return _of_words(_one_line(str(error)), is_timeout=isinstance(error, ConnectionTimeout))
    prefixes = (sqlstate, sqlstate[:2])
    cause = next((_BY_SQLSTATE[prefix] for prefix in prefixes if prefix in _BY_SQLSTATE), None)
    if cause is None:
        return Outage(OutageCause.OTHER, sqlstate)
    return Outage(cause, sqlstate, _one_line(_primary(error.diag)))


def _of_words(words: str, *, is_timeout: bool) -> Outage:
    found = next((cause for cause, pattern in _PATTERNS.items() if pattern.search(words)), None)
    return Outage(found or (OutageCause.UNREACHABLE if is_timeout else OutageCause.OTHER), words=words)


def _primary(diagnostic: Diagnostic) -> str:
    """Return the message without its detail, which may quote a row."""
    return diagnostic.message_primary or ""


def _one_line(words: str) -> str:
    return " ".join(words.split())[:_WORDS_LIMIT]
