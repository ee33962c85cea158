"""The word lists at the desk: counts, entries as text, and a search."""

import pytest

from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rules.rule_set import RuleSet, WordList
from delivery.vocabulary import StaffRole
from tests.support.desk import Browser, add_staff
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.usefixtures("broker")

_HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def reader(browser: Browser, fixtures: Fixtures) -> Browser:
    """Return the browser of a viewer, with a list of 602 entries in force."""
    entries = ("Pay Pal", _HOSTILE, *(f"word {number}" for number in range(600)))
    with transaction(fixtures.database) as db:
        store.store(
            db, RuleSet(lists=(WordList("brands", entries, meaning="What is imitated"),)), made_by="x", comment=""
        )
    add_staff(fixtures.database, role=StaffRole.VIEWER)
    browser.log_in()
    return browser


def test_lists_are_shown_with_their_counts(reader: Browser) -> None:
    page = reader.open("/desk/lists")

    assert 'href="/desk/lists/brands"' in page.text
    assert "602 What is imitated" in reader.text


def test_entries_are_text_and_the_first_of_many_are_shown(reader: Browser) -> None:
    page = reader.open("/desk/lists/brands")

    assert _HOSTILE not in page.text
    assert _HOSTILE in reader.text
    assert "These are the first 500 of 602." in reader.text


@pytest.mark.parametrize(
    ("wanted", "shown"), [("PAY", "Pay Pal"), ("word 599", "word 599"), ("none", "No entry has “ none ” in it.")]
)
def test_an_entry_is_found_by_a_part_of_it(reader: Browser, wanted: str, shown: str) -> None:
    reader.open(f"/desk/lists/brands?find={wanted}")

    assert shown in reader.text
    assert "word 1 " not in reader.text


def test_an_unknown_list_is_a_page(reader: Browser) -> None:
    assert 404 == reader.open("/desk/lists/none").status_code
