"""Records of a CSV file: cells as the standard library reads them, and the line at which a broken record is broken."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.intake.csv_records import BrokenCsv, read_records

CELLS = st.lists(st.lists(st.text('ab",\r\n '), min_size=1, max_size=3), max_size=4)
FILLED = "x,y\n" * 40_000  # More than 128 KiB.


def lines_of(text: str) -> list[str]:
    """Return the lines as a file read in binary has them: only LF ends one."""
    return [f"{line}\n" for line in text.split("\n")]


@given(CELLS)
def test_cells_are_read_back_and_begin_on_their_line(rows: list[list[str]]) -> None:
    file = io.StringIO()
    begins = []
    for row in rows:
        begins.append(file.getvalue().count("\n") + 1)
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)

    read = list(read_records(lines_of(file.getvalue())[:-1]))

    assert list(zip(begins, rows, strict=True)) == read


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('a,b\nc,"Jane,d', "line 2 is not CSV: a quote opens there and does not close."),
        ('a,"b\nc,d', "line 1 is not CSV: a quote opens there and does not close."),
        (f'a,b\nc,"Jane,d\n{FILLED}', "line 2 is not CSV: a quote opens there and does not close within 128 KiB."),
        (f'a,b\n\n{FILLED}"c\nd","e\n{FILLED}', "line 40004 is not CSV: a quote opens there and does not close w"),
        ('a,b\nc,"Jane ""d""', "line 2 is not CSV: a quote opens there and does not close."),
        ('a,b\nc,"', "line 2 is not CSV: a quote opens there and does not close."),
        (
            'a,b\nc,"Jane,d\ne,f\ng,"Bo",h\n',
            "line 2 is not CSV: the quote that opens there closes on line 4, where text follows it.",
        ),
        ('a,b\n"x\ny",z\nc,"An"na,"d"\n', "line 4 is not CSV: ',' expected after '\"'."),
        (f'a,b\nc,"{"x" * 200_000}"', "line 2 is not CSV: a quote opens there and does not close within 128 KiB."),
        ("a,b\nc\rd,e\n", "line 2 is not CSV: a line ends with CR alone. Save it with LF or CRLF line ends."),
        ("a,b\rc,d\r", "line 1 is not CSV: a line ends with CR alone. Save it with LF or CRLF line ends."),
    ],
)
def test_a_broken_record_is_reported_where_its_quote_opens(text: str, sentence: str) -> None:
    with pytest.raises(BrokenCsv) as found:
        list(read_records(lines_of(text)))

    assert str(found.value).startswith(sentence)
