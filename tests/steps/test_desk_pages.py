"""The other pages of the desk: groups and bulk, staff, the own login, rules, the audit, and who may see which."""

from collections.abc import Callable
from uuid import UUID

import pytest

from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rules.rule_set import Mode, Rule, RuleSet
from delivery.vocabulary import CaseState, StaffRole
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.desk import PASSWORD, Browser, add_staff
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.usefixtures("broker")

HoldMany = Callable[..., list[UUID]]
_HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def hold_many(fixtures: Fixtures, context: StepContext) -> HoldMany:
    """Return a function that holds messages with one text, and returns their ids."""

    def hold(number: int) -> list[UUID]:
        account_id = fixtures.account()
        fields = {"body": f"{HELD_PHRASE} {_HOSTILE}", "sender_email": "grace@example.com"}
        message_ids = [fixtures.message(account_id, **fields) for _ in range(number)]
        decide(context, message_ids)
        vet(context, message_ids)
        return message_ids

    return hold


def bulk_form(browser: Browser) -> dict[str, str]:
    """Return the fields that the preview of the page seen last sends along."""
    assert browser.page is not None
    cases = browser.page.text.partition('name="cases" value="')[2].partition('"')[0]
    return {"cases": cases, "page": browser.page.url.path}


def states(fixtures: Fixtures) -> set[CaseState]:
    """Return the states of all cases."""
    return {CaseState(row.state) for row in fixtures.run_sql("SELECT state FROM vetting_case")}


def test_all_cases_with_one_text_are_decided_and_taken_back_together(
    browser: Browser, fixtures: Fixtures, hold_many: HoldMany
) -> None:
    add_staff(fixtures.database)
    (message_id, *_) = hold_many(3)
    browser.log_in()
    fingerprint = fixtures.case(message_id).text_fingerprint

    listed = browser.open("/desk/groups")
    browser.open(f"/desk/groups/{fingerprint}")
    done = browser.send("/desk/bulk", verdict="reject", reason="spam", **bulk_form(browser))
    decided = states(fixtures)
    browser.send(f"{done.url.path}/undo")

    assert f'href="/desk/groups/{fingerprint}"' in listed.text
    assert "/desk/batches/" in str(done.url)
    assert {CaseState.DECIDED} == decided
    assert {CaseState.OPEN} == states(fixtures)
    assert "3 were taken back" in browser.text


def test_above_fifty_cases_the_number_and_the_password_are_asked_for(
    browser: Browser, fixtures: Fixtures, hold_many: HoldMany
) -> None:
    add_staff(fixtures.database)
    (message_id, *_) = hold_many(51)
    browser.log_in()
    fixtures.run_sql("UPDATE staff_session SET confirmed_at = confirmed_at - interval '11 minutes'")
    browser.open(f"/desk/senders/{message_id}")
    form = bulk_form(browser)

    asked = browser.send("/desk/bulk", verdict="approve", typed="51", **form)
    confirmed = browser.send("/desk/confirm", password=PASSWORD, next=form["page"])
    wrong = browser.send("/desk/bulk", verdict="approve", typed="50", **form)
    before = states(fixtures)
    browser.open(form["page"])
    browser.send("/desk/bulk", verdict="approve", typed="51", **form)

    assert ("/desk/confirm", form["page"], 400) == (asked.url.path, confirmed.url.path, wrong.status_code)
    assert ({CaseState.OPEN}, {CaseState.DECIDED}) == (before, states(fixtures))


def test_a_case_that_changed_since_the_preview_is_left_out(
    browser: Browser, fixtures: Fixtures, hold_many: HoldMany
) -> None:
    add_staff(fixtures.database)
    (message_id, *_) = hold_many(2)
    browser.log_in()
    browser.open(f"/desk/senders/{message_id}")
    fixtures.run_sql("UPDATE vetting_case SET version = 2 WHERE message_id = :id", id=message_id)

    browser.send("/desk/bulk", verdict="approve", **bulk_form(browser))

    assert {CaseState.OPEN, CaseState.DECIDED} == states(fixtures)
    assert "1 case had changed and was left out." in browser.text


@pytest.mark.parametrize("cases", ["", "x", f"{'0' * 31}é.1", f"{'0' * 32}", f"{'g' * 32}.1", f"{'0' * 32}.-1"])
def test_a_malformed_bulk_form_changes_nothing(browser: Browser, fixtures: Fixtures, cases: str) -> None:
    add_staff(fixtures.database)
    browser.log_in()

    answer = browser.send("/desk/bulk", verdict="approve", cases=cases)

    assert 400 == answer.status_code


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (StaffRole.VIEWER, "/desk/shift", 200),
        (StaffRole.VIEWER, "/desk/rules", 200),
        (StaffRole.VIEWER, "/desk/groups", 200),
        (StaffRole.VIEWER, "/desk/me", 200),
        (StaffRole.RULE_EDITOR, "/desk/staff", 403),
        (StaffRole.RULE_EDITOR, "/desk/audit", 403),
        (StaffRole.ADMIN, "/desk/staff", 200),
        (StaffRole.ADMIN, "/desk/audit", 200),
        (StaffRole.ADMIN, "/desk/groups/x", 404),
        (StaffRole.ADMIN, "/desk/senders/x", 404),
        (StaffRole.ADMIN, "/desk/batches/x", 404),
        (StaffRole.ADMIN, "/desk/rules/none", 404),
    ],
)
def test_each_page_is_for_those_whose_role_it_needs(
    browser: Browser, fixtures: Fixtures, role: StaffRole, path: str, status: int
) -> None:
    add_staff(fixtures.database, role=role)
    browser.log_in()

    assert status == browser.open(path).status_code


def test_a_viewer_sees_no_button_and_decides_nothing(browser: Browser, fixtures: Fixtures, hold_many: HoldMany) -> None:
    add_staff(fixtures.database, role=StaffRole.VIEWER)
    (message_id,) = hold_many(1)
    case_id = fixtures.case(message_id).case_id
    browser.log_in()

    page = browser.open(f"/desk/cases/{case_id}")
    answers = [
        browser.send(f"/desk/cases/{case_id}/{verb}", note="x") for verb in ("approve", "reject", "note", "skip")
    ]

    assert "/approve" not in page.text
    assert {403} == {each.status_code for each in answers}
    assert {CaseState.OPEN} == states(fixtures)


def test_an_administrator_adds_a_person_changes_the_role_and_ends_the_login(
    browser: Browser, fixtures: Fixtures
) -> None:
    add_staff(fixtures.database, role=StaffRole.ADMIN)
    browser.log_in()
    browser.open("/desk/staff")

    browser.send("/desk/staff", name=_HOSTILE, role="viewer")
    shown = browser.text
    (added,) = fixtures.run_sql("SELECT id FROM staff WHERE name <> 'Vera'")
    browser.send(f"/desk/staff/{added.id}/role", role="vetter")
    browser.send(f"/desk/staff/{added.id}/disable", disabled="yes")

    assert "shown only now:" in shown
    (row,) = fixtures.run_sql("SELECT role, disabled_at IS NOT NULL AS ended FROM staff WHERE id = :id", id=added.id)
    assert ("vetter", True) == tuple(row)
    changes = fixtures.run_sql("SELECT count(*) FROM audit_event WHERE kind = 'staff_changed'")[0][0]
    assert 3 == changes


def test_an_administrator_changes_nothing_about_the_own_login(browser: Browser, fixtures: Fixtures) -> None:
    member = add_staff(fixtures.database, role=StaffRole.ADMIN)
    browser.log_in()

    answers = [browser.send(f"/desk/staff/{member.staff_id}/{verb}", role="viewer") for verb in ("role", "disable")]

    assert {409} == {each.status_code for each in answers}
    assert "/desk/staff" == browser.open("/desk/staff").url.path


def test_a_person_changes_the_own_password_and_switches_single_keys_off(browser: Browser, fixtures: Fixtures) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    had_keys = 'data-keys="on"' in browser.open("/desk/me").text

    browser.send("/desk/me/keys")
    has_keys = 'data-keys="on"' in browser.open("/desk").text
    wrong = browser.send("/desk/me/password", password="wrong", new="another long one")
    short = browser.send("/desk/me/password", password=PASSWORD, new="short")
    browser.send("/desk/me/password", password=PASSWORD, new="another long one")

    assert (True, False, 403, 400) == (had_keys, has_keys, wrong.status_code, short.status_code)
    assert 401 == browser.log_in().status_code
    assert 200 == browser.log_in(password="another long one").status_code


def test_a_rule_editor_stops_a_rule_and_a_vetter_does_not(browser: Browser, fixtures: Fixtures) -> None:
    add_staff(fixtures.database, role=StaffRole.RULE_EDITOR)
    add_staff(fixtures.database, "Walter")
    rule = Rule("too-loud", "sender.is_new", mode=Mode.LIVE, reason=_HOSTILE)
    with transaction(fixtures.database) as db:
        store.store(db, RuleSet(rules=(rule,)), made_by="a test", comment="")
    browser.log_in("Walter")
    refused = browser.send("/desk/rules/too-loud/stop")
    browser.log_in()

    browser.open("/desk/rules/too-loud")
    stopped = browser.send("/desk/rules/too-loud/stop", comment="too many")

    assert (403, 200) == (refused.status_code, stopped.status_code)
    with transaction(fixtures.database) as db:
        assert [Mode.DRAFT] == [each.mode for each in store.read_newest(db).rules]
    assert _HOSTILE not in stopped.text


def test_what_was_read_and_decided_is_in_the_audit(browser: Browser, fixtures: Fixtures, hold_many: HoldMany) -> None:
    add_staff(fixtures.database, role=StaffRole.ADMIN)
    (message_id,) = hold_many(1)
    case_id = fixtures.case(message_id).case_id
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")
    browser.send(f"/desk/cases/{case_id}/approve")

    browser.open(f"/desk/audit?about={case_id}")

    for kind in ("body read", "case claimed", "case decided"):
        assert f"{kind} Vera {case_id}" in browser.text


def test_a_note_a_question_an_escalation_and_a_skip_are_shown(
    browser: Browser, fixtures: Fixtures, hold_many: HoldMany
) -> None:
    add_staff(fixtures.database)
    walter = add_staff(fixtures.database, "Walter")
    (message_id,) = hold_many(1)
    case_id = fixtures.case(message_id).case_id
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")

    browser.send(f"/desk/cases/{case_id}/note", note=f"a note {_HOSTILE}")
    browser.send(f"/desk/cases/{case_id}/note", note="do you know them?", colleague=str(walter.staff_id))
    page = browser.send(f"/desk/cases/{case_id}/escalate", note="urgent")
    text = browser.text
    browser.send(f"/desk/cases/{case_id}/skip")
    skipped = browser.text
    browser.log_in("Walter")

    assert _HOSTILE not in page.text
    assert "Escalated 0 seconds ago." in text
    assert "Show 1 case that you skipped" in skipped
    assert "1 question for you" in browser.text
    assert "Vera looks at this case too." not in browser.text
