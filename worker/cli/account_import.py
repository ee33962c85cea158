"""Import accounts from a file, in one transaction or row by row, and report every refused row."""

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
    """The result of an import. The first 100 refused rows are kept; `refused_count` counts all."""

    stored_count: int = 0
    new_count: int = 0
    refused_count: int = 0
    refused: list[RefusedRow] = field(default_factory=list)

    def take_refused(self, rows: Sequence[_Row]) -> list[AccountRow]:
        """Record the refused rows, and return the others."""
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        self.refused_count += len(refused)
        self.refused += refused[: REFUSALS_KEPT - len(self.refused)]
        return [row for row in rows if isinstance(row, AccountRow)]

    def count_stored(self, rows: Sequence[AccountRow], new_count: int) -> None:
        """Count stored rows, `new_count` of which were not in the database before."""
        self.stored_count += len(rows)
        self.new_count += new_count


class _RolledBack(Exception):  # noqa: N818 - a fact about the transaction
    """A row was refused, so nothing is stored."""


def import_all(database: Database, rows: Iterable[_Row], report: Report, advance: Callable[[], None]) -> None:
    """Store all of these rows in one transaction, or none when one is refused. `advance` is called after each batch.

    After the first refusal the rest is still read, to report its faults. When `rows` raises, nothing is stored.
    """
    try:
        with transaction(database) as db:
            disable_idle_timeout(db)  # The rows may come from a pipe.
            written = _write_all(partial(accounts.bring_in, db), rows, report, advance)
    except _RolledBack:
        return
    report.stored_count, report.new_count = written.stored_count, written.new_count


def _write_all(write: _Write, rows: Iterable[_Row], report: Report, advance: Callable[[], None]) -> Report:
    written = Report()
    for batch in _batches(rows):
        good = report.take_refused(batch)
        if not report.refused_count:
            written.count_stored(good, write(_described(good)))
        advance()
    if report.refused_count:
        raise _RolledBack
    return written


def import_each(database: Database, rows: Iterable[_Row], report: Report, advance: Callable[[], None]) -> None:
    """Store every row that is not refused, batch by batch. Batches stored before `rows` raises stay stored."""
    for batch in _batches(rows):
        good = report.take_refused(batch)
        with transaction(database) as db:
            new_count = accounts.bring_in(db, _described(good))
        report.count_stored(good, new_count)
        advance()


def _batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _ROWS_AT_ONCE)):
        yield batch


def _described(rows: Sequence[AccountRow]) -> list[accounts.Described]:
    return [(row.account_id, row.draft, row.preferences) for row in rows]
