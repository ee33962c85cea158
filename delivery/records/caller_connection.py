"""Run record functions on a caller's own connection, inside the transaction that is open there."""

from typing import Any, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.elements import ClauseElement


def wrap_connection(connection: object) -> Connection:
    """Return a connection for record functions that uses this SQLAlchemy or psycopg connection.

    It is never committed, rolled back or closed. Raises `TypeError` for anything else.
    """
    if isinstance(connection, Connection):
        return connection
    if isinstance(connection, psycopg.Connection):
        return cast(Connection, _CallerConnection(connection))
    raise TypeError("Pass a psycopg.Connection or a sqlalchemy.Connection; of a Session, pass its connection().")


class _CallerConnection:
    """The part of SQLAlchemy's `Connection` that record functions use.

    An engine around the caller's connection does not work: on its first use SQLAlchemy asks for the server's version
    and rolls back, which would undo the caller's work.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy has not typed it

    def execute(self, statement: Executable, values: dict[str, Any] | None = None) -> psycopg.Cursor[Any]:
        """Run a statement. Its rows are named tuples."""
        compiled = cast(ClauseElement, statement).compile(dialect=self._dialect)
        cursor = self._connection.cursor(row_factory=namedtuple_row)
        return cursor.execute(str(compiled).encode(), compiled.construct_params(values))

    def scalar(self, statement: Executable, values: dict[str, Any] | None = None) -> Any:
        """Return the first column of the first row; None without a row."""
        row = self.execute(statement, values).fetchone()
        return None if row is None else row[0]
