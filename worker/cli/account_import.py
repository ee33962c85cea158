"""Bringing in a file of accounts: in one transaction, or row by row; with every refused row told."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeAlias

from delivery.intake.account_files import AccountRow, RefusedRow
from delivery.records.database import Database, disable_idle_timeout, transaction
from delivery.records.identities import accounts

REFUSALS_KEPT = 100

_ROWS_AT_ONCE = 5000
_Row: TypeAlias = AccountRow | RefusedRow
_Write: TypeAlias = Callable[[Sequence[accounts.Described]], int]


@dataclass
class Report:
    """What an import came to. Of the refused rows the first 100 are kept; `refused_count` counts all."""

    stored_count: int = 0
    new_count: int = 0
    refused_count: int = 0
    refused: list[RefusedRow] = field(default_factory=list)

    def sort_out(self, rows: Sequence[_Row]) -> list[AccountRow]:
        """Note the refused ones among these rows, and give the others."""
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        self.refused_count += len(refused)
        self.refused += refused[: REFUSALS_KEPT - len(self.refused)]
        return [row for row in rows if isinstance(row, AccountRow)]

    def note_stored(self, rows: Sequence[AccountRow], new_count: int) -> None:
        """Count rows that are stored, and those among them that were not there before."""
        self.stored_count += len(rows)
        self.new_count += new_count


class _Withdrawn(Exception):  # noqa: N818 - it takes a transaction back
    """A row was refused, so nothing is stored."""


def bring_in_all(database: Database, rows: Iterable[_Row], report: Report, advance: Callable[[], None]) -> None:
    """Store all of these rows in one transaction, or none when one is refused. `advance` is called now and then.

    After the first refusal the rest is read all the same, for its faults. Whatever `rows` raises, nothing is stored.
    """
    try:
        with transaction(database) as db:
            disable_idle_timeout(db)  # The rows may come from a pipe.
            counted = _write_all(partial(accounts.bring_in, db), rows, report, advance)
    except _Withdrawn:
        return
    report.stored_count, report.new_count = counted.stored_count, counted.new_count


def _write_all(write: _Write, rows: Iterable[_Row], report: Report, advance: Callable[[], None]) -> Report:
    counted = Report()
    for batch in _batches(rows):
        good = report.sort_out(batch)
        if not report.refused_count:
            counted.note_stored(good, write(_described(good)))
        advance()
    if report.refused_count:
        raise _Withdrawn
    return counted


def bring_in_each(database: Database, rows: Iterable[_Row], report: Report, advance: Callable[[], None]) -> None:
    """Store every row that is not refused. What was stored before `rows` raises stays stored, and is counted."""
    for batch in _batches(rows):
        good = report.sort_out(batch)
        with transaction(database) as db:
            new_count = accounts.bring_in(db, _described(good))
        report.note_stored(good, new_count)
        advance()


def _batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _ROWS_AT_ONCE)):
        yield batch


def _described(rows: Sequence[AccountRow]) -> list[accounts.Described]:
    return [(row.account_id, row.draft, row.preferences) for row in rows]
