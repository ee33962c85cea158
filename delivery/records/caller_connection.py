"""Working on a connection that belongs to somebody else, inside whatever transaction is open there."""

from typing import Any, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.elements import ClauseElement


def wrap_connection(connection: object) -> Connection:
    """Make record functions work on a SQLAlchemy or psycopg connection. It is never committed, reset or closed.

    Raises `TypeError` for anything else.
    """
    if isinstance(connection, Connection):
        return connection
    if isinstance(connection, psycopg.Connection):
        return cast(Connection, _CallerConnection(connection))
    raise TypeError("Hand in a psycopg.Connection or a sqlalchemy.Connection; of a Session, its connection().")


class _CallerConnection:
    """As much of SQLAlchemy's connection as record functions use.

    An engine around a foreign connection will not do: on its first use SQLAlchemy asks for the server's version and
    rolls back, and with that the owner's own work.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy has not typed it

    def execute(self, statement: Executable, values: dict[str, Any] | None = None) -> psycopg.Cursor[Any]:
        """Run a statement; the rows have names."""
        compiled = cast(ClauseElement, statement).compile(dialect=self._dialect)
        cursor = self._connection.cursor(row_factory=namedtuple_row)
        return cursor.execute(str(compiled).encode(), compiled.construct_params(values))

    def scalar(self, statement: Executable, values: dict[str, Any] | None = None) -> Any:
        """Give the first column of the first row, or None."""
        row = self.execute(statement, values).fetchone()
        return None if row is None else row[0]
