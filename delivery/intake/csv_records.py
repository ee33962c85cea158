"""Read the records of a CSV file, each with the line on which it begins, and find the line at which one is broken."""

import csv
import re
from collections.abc import Iterable, Iterator

# A cell in quotes, in which two quotes stand for one, or a plain cell. Only a quote that does not close has no closing.
_CELL = re.compile(r'"[^"]*(?:""[^"]*)*(?P<closing>"?)|[^,\r\n]*')
_BEHIND_A_CELL = ("", ",", "\r", "\n")


class BrokenCsv(Exception):  # noqa: N818 - the file is at fault, not this program
    """The lines are not CSV; the message names the line and the reason."""


def read_records(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each record with the number of its first line, from 1. An empty line has no cells.

    Raises `BrokenCsv` with the line on which the quote opens, if a quote is at fault.
    """
    begin = 1
    record: list[str] = []
    try:
        for cells in csv.reader(_collect(lines, record), strict=True):
            yield begin, cells
            begin += len(record)
            record.clear()
    except csv.Error as error:
        raise BrokenCsv(_explain(error, begin, record)) from error


def _collect(lines: Iterable[str], record: list[str]) -> Iterator[str]:
    """Yield the lines, and keep those of the record that is being read."""
    for line in lines:
        record.append(line)
        yield line


def _explain(error: csv.Error, begin: int, record: list[str]) -> str:
    """Return a sentence with the line at which a person has to look.

    The reader notices an open quote only at the next quote, after 128 KiB or at the end of the file.
    """
    text = "".join(record)
    cell = _broken_cell(text)
    if cell is None and "\r" in text:
        return (
            f"line {begin + len(record) - 1} is not CSV: a line ends with CR alone. Save it with LF or CRLF line ends."
        )
    if cell is None:
        return f"line {begin + len(record) - 1} is not CSV: {error}."
    opened, closed = (begin + text.count("\n", 0, position) for position in cell.span())
    if _is_too_long(cell):
        return f"line {opened} is not CSV: a quote opens there and does not close within 128 KiB."
    if not cell["closing"]:
        return f"line {opened} is not CSV: a quote opens there and does not close."
    if opened < closed and _has_text_behind(text, cell):
        return f"line {opened} is not CSV: the quote that opens there closes on line {closed}, where text follows it."
    return f"line {opened} is not CSV: {error}."


def _broken_cell(text: str) -> re.Match[str] | None:
    """Return the first cell in quotes that does not close, has text behind its closing quote, or is too long."""
    position = 0
    while position < len(text):
        cell = _CELL.match(text, position)
        if cell is None:
            return None
        if text[position] == '"' and (not cell["closing"] or _is_too_long(cell) or _has_text_behind(text, cell)):
            return cell
        position = cell.end() + 1
    return None


def _is_too_long(cell: re.Match[str]) -> bool:
    return cell.end() - cell.start() > csv.field_size_limit()


def _has_text_behind(text: str, cell: re.Match[str]) -> bool:
    return text[cell.end() : cell.end() + 1] not in _BEHIND_A_CELL
