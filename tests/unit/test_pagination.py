"""Cursors of pages."""

import base64
from datetime import UTC, datetime

import pytest
from starlette.requests import Request

from api_stub.requests.pagination import read_page, write_cursor
from api_stub.requests.query import Parameters
from delivery.intake.errors import InvalidInput

AT = datetime(2026, 3, 1, tzinfo=UTC)


def parameters(cursor: str) -> Parameters:
    """Make the parameters of a request with this cursor."""
    return Parameters(Request({"type": "http", "query_string": f"cursor={cursor}".encode(), "headers": []}))


@pytest.mark.parametrize("entry_id", ["7", "77", "777"])
@pytest.mark.parametrize("padding", ["", "=", "==", "%3D%3D"])
def test_a_cursor_is_the_same_with_and_without_its_padding(entry_id: str, padding: str) -> None:
    bare = write_cursor(AT, entry_id)
    of_a_version_before = base64.urlsafe_b64encode(f"{AT.isoformat()} {entry_id}".encode()).decode()

    pages = [read_page(parameters(each), str) for each in (bare + padding, of_a_version_before)]

    assert "=" not in bare
    assert [(AT, entry_id)] * 2 == [page.before for page in pages]


@pytest.mark.parametrize("cursor", ["", "=", "A", "AA=A", "MjAyNi0wMS0wMSA3", "*"])
def test_another_text_is_no_cursor(cursor: str) -> None:
    read = parameters(cursor)

    assert None is read_page(read, str).before
    with pytest.raises(InvalidInput):
        read.refuse_faults()
