"""Read a file of accounts, CSV or JSON lines, a row at a time: into an account or every fault in the row."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import BinaryIO
from uuid import UUID

from delivery.intake.accounts import AccountDraft, Preferences, parse_account, parse_preferences
from delivery.intake.csv_records import BrokenCsv, read_records
from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.strict_json import read_object
from delivery.intake.uuids import read_uuid

LINE_LIMIT_BYTES = 65_536
ROW_LIMIT = 1_000_000

_REQUIRED = ("uuid", "name", "email")
_PREFERENCES = ("channel", "closed", "accepted_types")
_OPTIONAL = ("status", "time_zone", *_PREFERENCES)
_KNOWN = (*_REQUIRED, *_OPTIONAL)
_IGNORED_KEPT = 20
_BOOLEANS = {"true": True, "false": False}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Form(Enum):
    """The format of a file."""

    CSV = "CSV"
    JSONL = "JSON lines"


class NotReadable(Exception):  # noqa: N818 - the file is at fault, not this program
    """The file as a whole cannot be read; the message is a sentence with the reason and the line."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account of a file, and the line on which it begins (from 1).

    `named` has the optional columns or keys in which the row has a value. The others have their default here.
    """

    line: int
    account_id: UUID
    draft: AccountDraft
    preferences: Preferences
    named: frozenset[str]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is not an account, with every fault in it."""

    line: int
    faults: tuple[FieldError, ...]


class NumberedLines:
    """The lines of a file, limited in length and decoded; it counts what it has read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0
        self.bytes_read = 0
        self.ignored: dict[str, None] = {}
        """The first few names of unknown columns or keys, in the order of the file."""

    def __iter__(self) -> "NumberedLines":
        return self

    def __next__(self) -> str:
        raw = self._file.readline(LINE_LIMIT_BYTES + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        self.bytes_read += len(raw)
        if len(raw) > LINE_LIMIT_BYTES:
            raise NotReadable(f"line {self.number} is longer than 64 KiB. Is this a file of accounts?")
        return self._decode(raw)

    def note_names(self, names: Iterable[str]) -> None:
        """Remember which of these names are unknown."""
        for name in names:
            if name and name not in _KNOWN and len(self.ignored) < _IGNORED_KEPT:
                self.ignored[name] = None

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.removeprefix(_BYTE_ORDER_MARK if self.number == 1 else b"").decode()
        except UnicodeDecodeError as error:
            raise NotReadable(f"line {self.number} is not UTF-8 text. Save the file as UTF-8.") from error


def read_rows(lines: NumberedLines, form: Form) -> Iterator[AccountRow | RefusedRow]:
    """Read every row. A UUID that occurs twice is refused the second time, with the number of the first line.

    Raises `NotReadable` if this is not a file of accounts.
    """
    first_lines: dict[UUID, int] = {}
    for count, (line, row) in enumerate(_csv_rows(lines) if form is Form.CSV else _json_rows(lines), start=1):
        if count > ROW_LIMIT:
            raise NotReadable(f"it has more than {ROW_LIMIT:,} rows. Split it.")
        result = row if isinstance(row, RefusedRow) else _read_row(line, row)
        if isinstance(result, AccountRow) and first_lines.setdefault(result.account_id, line) != line:
            first_line = first_lines[result.account_id]
            result = _refused(line, "uuid", "duplicate_key", f"line {first_line} has the same uuid.")
        yield result


def _read_row(line: int, fields: Mapping[str, object]) -> AccountRow | RefusedRow:
    faults = list(_faults_of_id(fields.get("uuid")))
    draft, preferences = None, Preferences()
    try:
        draft = parse_account(fields)
    except InvalidInput as error:
        faults += error.faults
    named = frozenset(name for name in _OPTIONAL if fields.get(name) not in (None, ""))
    try:
        if any(fields.get(name) is not None for name in _PREFERENCES):
            preferences = parse_preferences({name: fields.get(name) for name in _PREFERENCES})
    except InvalidInput as error:
        faults += error.faults
    if faults or draft is None:
        return RefusedRow(line, tuple(InvalidInput(faults).faults))
    return AccountRow(line, UUID(str(fields["uuid"])), draft, preferences, named)


def _faults_of_id(value: object) -> Iterator[FieldError]:
    if value is None or value == "":
        yield FieldError("uuid", "required", "uuid is missing.")
    elif not isinstance(value, str):
        yield FieldError("uuid", "wrong_type", "uuid must be text.")
    elif read_uuid(value) is None:
        yield FieldError("uuid", "invalid_uuid", "uuid is not of the form 8-4-4-4-12 hexadecimal digits.")


def _json_rows(lines: NumberedLines) -> Iterator[tuple[int, Mapping[str, object] | RefusedRow]]:
    for text in lines:
        if text.strip():
            row = _json_row(lines.number, text)
            lines.note_names(row if isinstance(row, Mapping) else ())
            yield lines.number, row


def _json_row(line: int, text: str) -> Mapping[str, object] | RefusedRow:
    try:
        return read_object(text.encode())
    except InvalidInput as error:
        # `read_object` writes its sentences for the body of a request.
        faults = (replace(fault, message=fault.message.replace("The body", "It")) for fault in error.faults)
        return RefusedRow(line, tuple(faults))


def _csv_rows(lines: NumberedLines) -> Iterator[tuple[int, Mapping[str, object] | RefusedRow]]:
    records = read_records(lines)
    try:
        _, header = next(records, (1, []))
        columns = _columns(header)
        lines.note_names(columns)
        for line, cells in records:
            # Spreadsheets leave rows of empty cells below the others.
            if any(cell.strip() for cell in cells):
                yield line, _csv_row(line, columns, cells)
    except BrokenCsv as error:
        raise NotReadable(str(error)) from error


def _columns(header: list[str]) -> list[str]:
    if any("\0" in name for name in header):
        raise NotReadable("line 1 holds NUL characters, as UTF-16 does. Save the file as UTF-8.")
    columns = [name.strip() for name in header]
    known = [name for name in columns if name in _KNOWN]
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise NotReadable(f"line 1 must name the columns, separated by commas. Missing: {', '.join(missing)}.")
    if len(set(known)) < len(known):
        raise NotReadable("line 1 names a column twice.")
    return columns


def _csv_row(line: int, columns: list[str], cells: list[str]) -> Mapping[str, object] | RefusedRow:
    if len(cells) != len(columns):
        return _refused(line, "", "invalid_value", f"it has {len(cells)} cells, but line 1 has {len(columns)}.")
    row = dict(zip(columns, cells, strict=True))
    # An empty cell of an optional column is the same as no column.
    fields: dict[str, object] = {
        name: row[name] for name in _KNOWN if name in row and (name in _REQUIRED or row[name].strip())
    }
    if "closed" in fields:
        # Every other word stays text, and `parse_preferences` refuses it.
        fields["closed"] = _BOOLEANS.get(row["closed"].lower(), row["closed"])
    if "accepted_types" in fields:
        fields["accepted_types"] = [word.strip() for word in row["accepted_types"].split("|")]
    return fields


def _refused(line: int, field: str, code: str, message: str) -> RefusedRow:
    return RefusedRow(line, (FieldError(field, code, message),))
