"""Record the statements that reach the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event

from delivery.records.database import Database


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as it was sent, with its values."""

    sql: str
    values: Any


@contextmanager
def counted(database: Database) -> Iterator[list[Statement]]:
    """Record every statement while the block runs."""
    recorded: list[Statement] = []

    def record(connection: Any, cursor: Any, sql: str, values: Any, context: Any, executemany: bool) -> None:  # noqa: FBT001, PLR0917 - SQLAlchemy's signature
        del connection, cursor, context, executemany
        recorded.append(Statement(sql, values))

    event.listen(database, "before_cursor_execute", record)
    try:
        yield recorded
    finally:
        event.remove(database, "before_cursor_execute", record)
