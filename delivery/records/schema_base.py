"""What the definitions of all tables share: types, names of constraints, and conditions on words of the vocabulary."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import DateTime, MetaData, SmallInteger, Text, text
from sqlalchemy.orm import DeclarativeBase

from delivery.vocabulary import Reason

NOW = text("clock_timestamp()")


def one_of(column: str, words: Iterable[StrEnum]) -> str:
    """Return the SQL condition that a column holds one of these words."""
    quoted = ", ".join(f"'{word}'" for word in words)
    return f"{column} IN ({quoted})"


class Base(DeclarativeBase):
    """What all tables share: the SQL types of Python annotations and the names of constraints."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text, int: SmallInteger}  # noqa: RUF012 - SQLAlchemy reads it as a class attribute


_REASONS: dict[str | None, Reason] = {str(reason): reason for reason in Reason}


def read_reason(word: str | None) -> Reason | None:
    """Read a reason. One that only a later version knows, which may run at the same time, is read as None.

    A state cannot be ignored like this. So a new state is first read by one version, and written by the next.
    """
    return _REASONS.get(word)
