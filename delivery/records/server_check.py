"""Check, when a process starts, that its database server can serve Postroom at all."""

import select
from contextlib import closing

import psycopg

from delivery.records.database import connect_once
from delivery.setting_checks import UnusableSetting
from delivery.settings import Settings

OLDEST_SERVER = 16
"""The oldest major version of PostgreSQL that Postroom is tested with."""

_ANSWER_S = 2
# Other clients of a pooler may take the connection between two of our questions, so one round is not always enough.
_ROUNDS = 5
_WHICH_SESSION = "SELECT pg_backend_pid()"


def check_database(settings: Settings) -> None:
    """Raise `UnusableSetting` where the server is too old, or a pooler before it gives connections no session.

    A server that does not answer is no reason: processes wait for it.
    """
    try:
        with closing(connect_once(settings)) as connection:
            check_version(connection.info.server_version)
            # A pooler invents the number that it tells at the start.
            if _session_of(connection) == connection.info.backend_pid:
                return
            with closing(connect_once(settings)) as other:
                _check_sessions(connection, other)
    except psycopg.OperationalError as error:
        if "unsupported startup parameter" in str(error):
            raise UnusableSetting(
                "DATABASE_URL leads to a pooler that refuses our settings of a session. In pgbouncer.ini set "
                "pool_mode = session and ignore_startup_parameters = options"
            ) from error


def check_version(version_number: int) -> None:
    """Raise `UnusableSetting` for a server that is too old. `version_number` is its `server_version_num`."""
    major = version_number // 10_000
    if major < OLDEST_SERVER:
        raise UnusableSetting(f"DATABASE_URL leads to PostgreSQL {major}, and Postroom needs {OLDEST_SERVER} or newer")


def _check_sessions(one: psycopg.Connection, other: psycopg.Connection) -> None:
    """Raise `UnusableSetting` when two open connections share a session, or one changes between sessions."""
    first = _session_of(one)
    for _ in range(_ROUNDS):
        if _session_of(other) == first or _session_of(one) != first:
            raise UnusableSetting(
                "DATABASE_URL leads to a pooler in transaction mode, which shares sessions between connections. "
                "Postroom's locks and prepared statements need sessions: set pool_mode = session, "
                "or write the address of the server itself"
            )


def _session_of(connection: psycopg.Connection) -> int | None:
    """Return the process at the server that answers; None without an answer in time, when a pooler is full."""
    raw = connection.pgconn
    raw.send_query(_WHICH_SESSION.encode())
    raw.flush()
    while raw.is_busy():
        if not select.select([raw.socket], [], [], _ANSWER_S)[0]:
            return None
        raw.consume_input()
    result = raw.get_result()
    value = result.get_value(0, 0) if result is not None else None
    while raw.get_result() is not None:
        pass
    return None if value is None else int(value)
