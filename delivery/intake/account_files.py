"""Files of accounts, CSV or JSON lines, read a row at a time: each row is an account or every fault in it."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import BinaryIO
from uuid import UUID

from delivery.intake.accounts import AccountDraft, Preferences, parse_account, parse_preferences
from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.strict_json import read_object
from delivery.intake.uuids import read_uuid

LINE_LIMIT_BYTES = 65_536
ROW_LIMIT = 1_000_000

_REQUIRED = ("uuid", "name", "email")
_PREFERENCES = ("channel", "closed", "accepted_types")
_KNOWN = (*_REQUIRED, "status", "time_zone", *_PREFERENCES)
_IGNORED_KEPT = 20
_WORDS = {"true": True, "false": False, "": None}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Form(Enum):
    """How a file is written."""

    CSV = "CSV"
    JSONL = "JSON lines"


class NotReadable(Exception):  # noqa: N818 - a fact about the file
    """The file as a whole cannot be read; the message is a sentence that says why and where."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account of a file, and the line that it begins on (from 1). `wishes` is None where it says nothing."""

    line: int
    account_id: UUID
    draft: AccountDraft
    preferences: Preferences | None


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is no account, with every fault in it."""

    line: int
    faults: tuple[FieldError, ...]


class NumberedLines:
    """The lines of a file, bounded in length and decoded; it knows how far it has come."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0
        self.bytes_read = 0
        self.ignored: dict[str, None] = {}
        """Names of columns or keys that no account has, in the order in which they came, the first few."""

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
        """Remember those of these names that mean nothing here."""
        for name in names:
            if name not in _KNOWN and len(self.ignored) < _IGNORED_KEPT:
                self.ignored[name] = None

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.removeprefix(_BYTE_ORDER_MARK if self.number == 1 else b"").decode()
        except UnicodeDecodeError as error:
            raise NotReadable(f"line {self.number} is not UTF-8 text. Save the file as UTF-8.") from error


def read_rows(lines: NumberedLines, form: Form) -> Iterator[AccountRow | RefusedRow]:
    """Read every row. A UUID that stands twice is refused the second time, naming both lines.

    Raises `NotReadable` for what is no file of accounts.
    """
    first_lines: dict[UUID, int] = {}
    for count, (line, row) in enumerate(_csv_rows(lines) if form is Form.CSV else _json_rows(lines), start=1):
        if count > ROW_LIMIT:
            raise NotReadable(f"it has more than {ROW_LIMIT:,} rows. Split it.")
        read = row if isinstance(row, RefusedRow) else _read_row(line, row)
        if isinstance(read, AccountRow) and first_lines.setdefault(read.account_id, line) != line:
            read = _refused(line, "uuid", "duplicate_key", f"line {first_lines[read.account_id]} has the same uuid.")
        yield read


def _read_row(line: int, fields: Mapping[str, object]) -> AccountRow | RefusedRow:
    faults = list(_faults_of_id(fields.get("uuid")))
    draft, preferences = None, None
    try:
        draft = parse_account(fields)
    except InvalidInput as error:
        faults += error.faults
    says_something = any(fields.get(name) is not None for name in _PREFERENCES)
    try:
        preferences = parse_preferences({name: fields.get(name) for name in _PREFERENCES}) if says_something else None
    except InvalidInput as error:
        faults += error.faults
    if faults or draft is None:
        return RefusedRow(line, tuple(InvalidInput(faults).faults))
    return AccountRow(line, UUID(str(fields["uuid"])), draft, preferences)


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
        # What reads a request speaks of a body.
        faults = (replace(fault, message=fault.message.replace("The body", "It")) for fault in error.faults)
        return RefusedRow(line, tuple(faults))


def _csv_rows(lines: NumberedLines) -> Iterator[tuple[int, Mapping[str, object] | RefusedRow]]:
    reader = csv.reader(lines, strict=True)
    try:
        columns = _columns(next(reader, []))
        lines.note_names(columns)
        begin = lines.number + 1
        for cells in reader:
            if cells:
                yield begin, _csv_row(begin, columns, cells)
            begin = lines.number + 1
    except csv.Error as error:
        raise NotReadable(f"line {lines.number} is not CSV: {error}.") from error


def _columns(header: list[str]) -> list[str]:
    columns = [name.strip() for name in header]
    known = [name for name in columns if name in _KNOWN]
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise NotReadable(f"line 1 must name the columns, parted by commas. Missing: {', '.join(missing)}.")
    if len(set(known)) < len(known):
        raise NotReadable("line 1 names a column twice.")
    return columns


def _csv_row(line: int, columns: list[str], cells: list[str]) -> Mapping[str, object] | RefusedRow:
    if len(cells) != len(columns):
        return _refused(line, "", "invalid_value", f"it has {len(cells)} cells, but line 1 has {len(columns)}.")
    given = dict(zip(columns, cells, strict=True))
    fields: dict[str, object] = {name: given[name] for name in _KNOWN if name in given}
    for name in _PREFERENCES:
        fields[name] = given.get(name) or None
    # Anything but true and false stays text, and is then refused as such.
    closed = given.get("closed", "")
    fields["closed"] = _WORDS.get(closed.lower(), closed)
    if fields["accepted_types"] is not None:
        fields["accepted_types"] = [word.strip() for word in given["accepted_types"].split("|")]
    return fields


def _refused(line: int, field: str, code: str, message: str) -> RefusedRow:
    return RefusedRow(line, (FieldError(field, code, message),))
