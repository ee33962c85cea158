"""Standing decisions at the desk: made from a decision, listed, revoked, and refused where no decision stands."""

from collections.abc import Callable
from uuid import UUID

import pytest

from delivery.vocabulary import CaseState, StaffRole
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.desk import Browser, add_staff
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.usefixtures("broker")

Hold = Callable[[], UUID]


@pytest.fixture
def hold(fixtures: Fixtures, context: StepContext) -> Hold:
    """Return a function that holds the same text of one sender, and returns the id of its case."""
    account_id = fixtures.account()

    def hold_message() -> UUID:
        message_id = fixtures.message(account_id, body=HELD_PHRASE, sender_email="grace@example.com")
        decide(context, [message_id])
        vet(context, [message_id])
        return fixtures.case(message_id).case_id

    return hold_message


def decision_of(fixtures: Fixtures) -> str:
    """Return the id of the only decision."""
    return str(fixtures.run_sql("SELECT id FROM case_decision")[0].id)


def states(fixtures: Fixtures) -> list[CaseState]:
    """Return the states of all cases, in the order in which they were opened."""
    return [CaseState(row.state) for row in fixtures.run_sql("SELECT state FROM vetting_case ORDER BY opened_at")]


@pytest.mark.parametrize(("verb", "words"), [("approve", "passes"), ("reject", "is refused")])
def test_a_decision_is_repeated_for_the_text_and_its_sender_until_it_is_revoked(
    browser: Browser, fixtures: Fixtures, hold: Hold, verb: str, words: str
) -> None:
    add_staff(fixtures.database)
    case_id = hold()
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")
    browser.send(f"/desk/cases/{case_id}/{verb}")

    offered = browser.open(f"/desk/cases/{case_id}").text
    listed = browser.send(f"/desk/cases/{case_id}/stand", decision=decision_of(fixtures))
    text = browser.text
    hold()
    while_in_force = states(fixtures)
    (stored,) = fixtures.run_sql("SELECT id, uses FROM standing_decision")
    browser.send(f"/desk/standing/{stored.id}/revoke")
    hold()

    assert "This text for 7 days" in offered
    assert "/desk/standing" == listed.url.path
    assert f"{words} the case grace@example.com Vera" in text
    assert ([CaseState.DECIDED, CaseState.DECIDED], 1) == (while_in_force, stored.uses)
    assert CaseState.OPEN is states(fixtures)[-1]
    assert "No standing decision is in force." in browser.text


def test_a_decision_that_was_taken_back_is_not_repeated(browser: Browser, fixtures: Fixtures, hold: Hold) -> None:
    add_staff(fixtures.database)
    case_id = hold()
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")
    browser.send(f"/desk/cases/{case_id}/approve")
    decision = decision_of(fixtures)
    browser.send(f"/desk/cases/{case_id}/undo", decision=decision)

    undone = browser.send(f"/desk/cases/{case_id}/stand", decision=decision)
    unknown = browser.send(f"/desk/cases/{case_id}/stand", decision="x")

    assert (409, 409, 0) == (undone.status_code, unknown.status_code, fixtures.count("standing_decision"))
    assert "This text for 7 days" not in unknown.text


def test_a_viewer_reads_standing_decisions_and_makes_or_revokes_none(
    browser: Browser, fixtures: Fixtures, hold: Hold
) -> None:
    add_staff(fixtures.database)
    add_staff(fixtures.database, "Walter", role=StaffRole.VIEWER)
    case_id = hold()
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")
    browser.send(f"/desk/cases/{case_id}/approve")
    browser.send(f"/desk/cases/{case_id}/stand", decision=decision_of(fixtures))
    (stored,) = fixtures.run_sql("SELECT id FROM standing_decision")
    browser.log_in("Walter")

    shown = browser.open("/desk/standing")
    refused = browser.send(f"/desk/standing/{stored.id}/revoke")
    made = browser.send(f"/desk/cases/{case_id}/stand", decision=decision_of(fixtures))

    assert (200, 403, 403) == (shown.status_code, refused.status_code, made.status_code)
    assert "Revoke" not in shown.text
    assert 1 == fixtures.count("standing_decision")


def test_what_is_not_in_force_cannot_be_revoked(browser: Browser, fixtures: Fixtures, hold: Hold) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    browser.open("/desk/standing")

    unknown = browser.send(f"/desk/standing/{hold()}/revoke")
    browser.open("/desk/standing")
    malformed = browser.send("/desk/standing/x/revoke")

    assert (409, 404) == (unknown.status_code, malformed.status_code)
