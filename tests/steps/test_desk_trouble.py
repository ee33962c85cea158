"""What the desk shows when something is wrong: a locked case, unreadable rules, an unknown address."""

import json
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from delivery.records.database import transaction
from delivery.rules.case_decisions import Actor, ActorKind, CaseDecision, CaseVerdict
from delivery.vocabulary import CaseState, StaffRole
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.review import decide_batch
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.desk import Browser, add_staff
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.usefixtures("broker")

HoldOne = Callable[[], tuple[UUID, UUID]]


@pytest.fixture
def hold(fixtures: Fixtures, context: StepContext) -> HoldOne:
    """Return a function that holds a message, and returns its id and that of its case."""

    def hold_message() -> tuple[UUID, UUID]:
        message_id = fixtures.message(fixtures.account(), body=HELD_PHRASE)
        decide(context, [message_id])
        vet(context, [message_id])
        return message_id, fixtures.case(message_id).case_id

    return hold_message


def test_a_case_that_is_locked_elsewhere_gets_a_page_and_no_decision(
    browser: Browser, fixtures: Fixtures, hold: HoldOne
) -> None:
    add_staff(fixtures.database)
    message_id, case_id = hold()
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")

    with transaction(fixtures.database) as db:
        db.execute(text("SELECT id FROM message WHERE id = :id FOR UPDATE"), {"id": message_id})
        answer = browser.send(f"/desk/cases/{case_id}/approve")

    assert 503 == answer.status_code
    assert "Another request is changing the same thing." in browser.text
    assert CaseState.OPEN is fixtures.case(message_id).state


def test_a_locked_case_is_left_out_of_a_batch_and_the_others_are_decided(
    fixtures: Fixtures, hold: HoldOne, context: StepContext
) -> None:
    (locked, locked_case), (free, free_case) = hold(), hold()
    actor = Actor(ActorKind.STAFF, "1", "Vera")
    decision = CaseDecision(CaseVerdict.REJECT, actor)

    with transaction(fixtures.database) as db:
        db.execute(text("SELECT id FROM message WHERE id = :id FOR UPDATE"), {"id": locked})
        result = decide_batch(context, [(locked_case, 1), (free_case, 1)], decision)

    assert (1, {locked_case}) == (result.decided, set(result.refused))
    assert (CaseState.OPEN, CaseState.REJECTED) == (fixtures.case(locked).state, fixtures.case(free).state)


@pytest.mark.parametrize("path", ["/desk/rules", "/desk/rules/x"])
def test_rules_that_cannot_be_read_get_a_page_that_says_why(browser: Browser, fixtures: Fixtures, path: str) -> None:
    add_staff(fixtures.database, role=StaffRole.RULE_EDITOR)
    browser.log_in()
    document = json.dumps({"rules": [{"name": "x", "when": "no.fact"}]})
    fixtures.run_sql(
        "INSERT INTO rule_set (document, made_by, comment) VALUES (CAST(:document AS jsonb), '', '')", document=document
    )

    answer = browser.open(path)
    stopped = browser.send("/desk/rules/x/stop")

    assert (500, 500) == (answer.status_code, stopped.status_code)
    assert "cannot read the rule set in force" in browser.text
    assert '<a href="/desk">Back to the queue</a>' in answer.text


@pytest.mark.parametrize("path", ["/desk/", "/desk/nothing", "/desk/cases/x/y/z", "/desk/static/nothing"])
@pytest.mark.parametrize("is_logged_in", [True, False])
def test_an_unknown_address_gets_a_page_with_the_way_back(
    browser: Browser, fixtures: Fixtures, path: str, *, is_logged_in: bool
) -> None:
    add_staff(fixtures.database)
    if is_logged_in:
        browser.log_in()

    found, sent = browser.open(path), browser.send(path)

    assert 404 == found.status_code
    assert sent.status_code in {404, 405}
    assert '<a href="/desk">Back to the queue</a>' in found.text
    assert ("Log out" in found.text) == (is_logged_in and "static" not in path)


def test_the_address_of_a_form_opened_as_a_page_leads_back(browser: Browser, fixtures: Fixtures, hold: HoldOne) -> None:
    add_staff(fixtures.database)
    _, case_id = hold()
    browser.log_in()

    answer = browser.open(f"/desk/cases/{case_id}/approve")

    assert 404 == answer.status_code
    assert "Back to the queue" in answer.text
