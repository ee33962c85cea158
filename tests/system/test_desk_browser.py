"""The desk in a real Chromium, by keyboard alone: no dialog, no error, and no request to another host."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from delivery.records.database import Database
from delivery.settings import Settings
from delivery.vocabulary import CaseState
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.support.api_server import open_door
from tests.support.desk import PASSWORD, add_staff
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until

_CHROMIUM = shutil.which("chromium")
_PHRASE = "wire the money"
_HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)><div hx-get=/desk/logout hx-trigger=load>"

pytestmark = [
    pytest.mark.usefixtures("broker"),
    pytest.mark.skipif(_CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.xdist_group("chromium"),
]


@dataclass
class PageEvents:
    """What a page did that it must not do."""

    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Any) -> None:
        """Note a dialog, and close it."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def note_request(self, url: str, address: str) -> None:
        """Note a request to another host."""
        if not url.startswith((address, "data:")):
            self.foreign.append(url)


@pytest.fixture
def fixtures(database: Database) -> Fixtures:
    """Return fixtures of a database that is empty but for one client."""
    return Fixtures(database)


@pytest.fixture
def desk(base_settings: Settings, fixtures: Fixtures) -> Iterator[tuple[str, list[UUID]]]:
    """Yield the address of the desk and its four cases, oldest first. One of them is hostile."""
    settings = base_settings.model_copy(update={"hold_phrases": _PHRASE})
    context = StepContext(settings, fixtures.database, SilentDoorbell())
    account_id = fixtures.account()
    cases = []
    for number, body in enumerate(("First text", _HOSTILE, "Third text", "Fourth text"), start=1):
        message_id = fixtures.message(account_id, subject=f"Case {number}", body=f"{body} {_PHRASE}")
        decide(context, [message_id])
        vet(context, [message_id])
        cases.append(fixtures.case(message_id).case_id)
    add_staff(fixtures.database)
    with open_door(settings) as http:
        yield str(http.base_url).rstrip("/"), cases


@contextmanager
def opened(address: str, *, width: int = 1300, height: int = 800, **options: Any) -> Iterator[tuple[Any, PageEvents]]:
    """Open a page in Chromium, log in by keyboard, and note what must not happen."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": width, "height": height}, **options).new_page()
        seen = PageEvents()
        page.on("console", lambda line: seen.errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("dialog", seen.dismiss)
        page.on("request", lambda each: seen.note_request(each.url, address))
        page.goto(f"{address}/desk")
        page.wait_for_function("document.activeElement.name === 'name'")
        page.keyboard.type("Vera")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("#cases")
        yield page, seen
        browser.close()


def test_a_person_decides_cases_with_the_keyboard_alone(desk: tuple[str, list[UUID]], fixtures: Fixtures) -> None:
    address, cases = desk
    with opened(address) as (page, seen):
        page.keyboard.press("j")
        page.keyboard.press("o")
        page.wait_for_selector(f'article[data-case="{cases[0]}"]')
        page.keyboard.press("a")
        page.wait_for_selector(f'article[data-case="{cases[1]}"]')
        folded = page.locator(f'#cases li[data-case="{cases[0]}"]').get_attribute("class")
        page.keyboard.press("u")
        page.wait_for_selector(f'article[data-case="{cases[0]}"]')
        page.keyboard.press("s")
        page.wait_for_selector(f'article[data-case="{cases[1]}"]')
        page.keyboard.press("r")
        page.locator("input[name=sentence]").focus()
        page.keyboard.type("aj 1 is text here, not a key")
        typed = page.locator("input[name=sentence]").input_value()
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        page.keyboard.press("2")
        page.wait_for_selector(f'article[data-case="{cases[2]}"]')
        rows = page.locator("#cases li").count()
        head = page.locator(".list h1").inner_text()

    assert "closed" in (folded or "")
    assert 4 == rows
    assert "3 cases wait" == head
    assert PageEvents() == seen
    made = fixtures.run_sql(
        "SELECT verdict, reason, undone_at IS NOT NULL AS undone FROM case_decision ORDER BY decided_at"
    )
    assert [("approve", None, True), ("reject", "scam", False)] == [tuple(row) for row in made]
    assert typed == "aj 1 is text here, not a key"


def test_the_list_never_moves_and_says_what_others_decided_and_what_is_new(
    desk: tuple[str, list[UUID]], fixtures: Fixtures
) -> None:
    address, cases = desk
    with opened(address) as (page, seen):
        before = page.locator("#cases li").evaluate_all("rows => rows.map(row => row.dataset.case)")
        fixtures.run_sql(
            "UPDATE vetting_case SET state = 'rejected', decided_by = 'Walter' WHERE id = :id", id=cases[1]
        )
        fixtures.run_sql("UPDATE vetting_case SET opened_at = now() + interval '1 hour' WHERE id = :id", id=cases[3])
        page.wait_for_selector(f'li.closed[data-case="{cases[1]}"]', timeout=20_000)
        page.wait_for_selector("#newer:not([hidden])")
        after = page.locator("#cases li").evaluate_all("rows => rows.map(row => row.dataset.case)")
        words = page.locator("li.closed .outcome").inner_text()

    assert before == after == [str(each) for each in cases]
    assert "rejected by Walter" == words
    assert PageEvents() == seen


def test_the_list_keeps_the_case_that_is_shown_in_sight(desk: tuple[str, list[UUID]]) -> None:
    address, cases = desk
    with opened(address, height=300) as (page, seen):
        page.keyboard.press("j")
        page.keyboard.press("o")
        for case in cases[:-1]:
            page.wait_for_selector(f'article[data-case="{case}"]')
            page.keyboard.press("a")
        page.wait_for_selector(f'article[data-case="{cases[-1]}"]')
        place = page.locator("#cases li.current").bounding_box()

    assert place is not None
    assert 0 <= place["y"] <= 301 - place["height"]  # The head of the page is not a whole number of pixels high.
    assert PageEvents() == seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 800, 1300])
def test_no_page_is_wider_than_the_window(desk: tuple[str, list[UUID]], width: int, scheme: str) -> None:
    address, cases = desk
    with opened(address, width=width, color_scheme=scheme) as (page, seen):
        too_wide = []
        for path in ("/desk", f"/desk/cases/{cases[1]}", "/desk/shift", "/desk/rules", "/desk/me"):
            page.goto(address + path)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                too_wide.append(path)

    assert [] == too_wide
    assert PageEvents() == seen


def test_a_case_is_decided_without_any_script(desk: tuple[str, list[UUID]], fixtures: Fixtures) -> None:
    address, cases = desk
    with opened(address, java_script_enabled=False) as (page, seen):
        page.goto(f"{address}/desk/cases/{cases[0]}")
        page.get_by_role("button", name="Approve").click()
        page.wait_for_selector(f'article[data-case="{cases[1]}"]')
        page.get_by_role("button", name="Undo").click()
        page.wait_for_selector(f'article[data-case="{cases[0]}"]')

    wait_until(lambda: CaseState.OPEN == fixtures.run_sql("SELECT state FROM vetting_case ORDER BY opened_at")[0].state)
    assert PageEvents() == seen
