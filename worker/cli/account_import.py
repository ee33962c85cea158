"""Import accounts from a file, in one transaction or row by row, and report every refused row."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from delivery.intake.account_files import AccountRow, RefusedRow
from delivery.records.database import Database, disable_idle_timeout, transaction
from delivery.records.identities.account_batches import BatchResult, ImportRules, bring_in

REFUSALS_KEPT = 100

_ROWS_AT_ONCE = 5000
_Row: TypeAlias = AccountRow | RefusedRow
_Write: TypeAlias = Callable[[Sequence[AccountRow]], BatchResult]


@dataclass
class Report:
    """The result of an import. The first 100 refused rows are kept; `refused_count` counts all.

    `kept_count` is how many accounts keep a preference that their holder chose, although the file has another.
    """

    stored_count: int = 0
    new_count: int = 0
    kept_count: int = 0
    refused_count: int = 0
    refused: list[RefusedRow] = field(default_factory=list)

    def take_refused(self, rows: Sequence[_Row]) -> list[AccountRow]:
        """Record the refused rows, and return the others."""
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        self.refused_count += len(refused)
        self.refused += refused[: REFUSALS_KEPT - len(self.refused)]
        return [row for row in rows if isinstance(row, AccountRow)]

    def count_stored(self, stored_count: int, result: BatchResult) -> None:
        """Count the stored rows of a batch."""
        self.stored_count += stored_count
        self.new_count += result.new_count
        self.kept_count += result.kept_count


class _RolledBack(Exception):  # noqa: N818 - a fact about the transaction
    """A row was refused, so nothing is stored."""


def import_all(
    database: Database, rows: Iterable[_Row], report: Report, advance: Callable[[], None], *, rules: ImportRules
) -> None:
    """Store all of these rows in one transaction, or none when one is refused. `advance` is called after each batch.

    After the first refusal the rest is still read, to report its faults. When `rows` raises, nothing is stored.
    """
    try:
        with transaction(database) as db:
            disable_idle_timeout(db)  # The rows may come from a pipe.
            written = _write_all(lambda batch: bring_in(db, batch, rules), rows, report, advance)
    except _RolledBack:
        return
    report.count_stored(written.stored_count, BatchResult(written.new_count, written.kept_count))


def _write_all(write: _Write, rows: Iterable[_Row], report: Report, advance: Callable[[], None]) -> Report:
    written = Report()
    for batch in _batches(rows):
        good = report.take_refused(batch)
        if not report.refused_count:
            written.count_stored(len(good), write(good))
        advance()
    if report.refused_count:
        raise _RolledBack
    return written


def import_each(
    database: Database, rows: Iterable[_Row], report: Report, advance: Callable[[], None], *, rules: ImportRules
) -> None:
    """Store every row that is not refused, batch by batch. Batches stored before `rows` raises stay stored."""
    for batch in _batches(rows):
        good = report.take_refused(batch)
        with transaction(database) as db:
            result = bring_in(db, good, rules)
        report.count_stored(len(good), result)
        advance()


def _batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _ROWS_AT_ONCE)):
        yield batch
