"""Pages of a list are bounded by their bytes too."""

import httpx2
import pytest

from tests.support.api_client import Headers, post
from tests.support.fixtures import Fixtures


@pytest.mark.parametrize("path", ["/messages", "/accounts/{account_id}/inbox"])
@pytest.mark.usefixtures("working")
def test_a_page_ends_at_a_mebibyte_of_bodies_and_the_cursor_goes_on(
    overdue: httpx2.Client, fixtures: Fixtures, key: Headers, path: str
) -> None:
    account_id = fixtures.account()
    bodies = ["\U0001f600" * 65_535 + mark for mark in "abcdef"] + ["small"] * 3
    for body in bodies:
        post(overdue, key, account_id, body=body)

    pages: list[list[str]] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        page = overdue.get(path.format(account_id=account_id), headers=key, params={"limit": "100", **cursor}).json()
        pages.append([each["body"] for each in page["data"]])
        cursor = {"cursor": page["meta"]["next_cursor"]} if "next_cursor" in page["meta"] else None

    assert bodies[::-1] == [body for page in pages for body in page]
    assert [6, 3] == [len(page) for page in pages]
