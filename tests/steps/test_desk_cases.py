"""The queue and the case page: what staff see, decide and are told, and that no text of a sender becomes markup."""

import re
from collections.abc import Callable
from uuid import UUID

import httpx2
import pytest

from delivery.vocabulary import CaseState
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.steps.conftest import HELD_PHRASE
from tests.support.desk import Browser, add_staff
from tests.support.fixtures import Fixtures
from tests.support.step_driver import StepDriver

Hold = Callable[..., UUID]

pytestmark = pytest.mark.usefixtures("broker")

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "' hx-get=/desk/logout hx-trigger=load '",
    "<div hx-post=/desk/logout hx-trigger=load>",
    "{{ 7 * 191 }}{% include 'login.html' %}",
    "\u202egnp.exe \u2066abc\u2069 \u200b\u00ad",
    "</bdi></article><h2>Approved</h2>",
    "=HYPERLINK(0)",
    "w" * 24_000,
    "Due in 5 minutes Approve Reject Case closed",
    "&lt;b&gt; &amp; \x00\x07".replace("\x00", ""),
]


# These stand on a page that shows a character which no reader sees, and not on another.
_OF_HIDDEN_CHARACTERS = {
    "<span class= title=>",
    "<details class= data-view=>",
    "<details class= data-view= open>",
    "<p class=>",
}


@pytest.fixture
def hold(fixtures: Fixtures, driver: StepDriver, context: StepContext) -> Hold:
    """Return a function that holds a message with these fields, and returns the id of its case."""

    def hold_message(**fields: str) -> UUID:
        fields = {"body": f"Please {HELD_PHRASE} today.", **fields}
        message_id = fixtures.message(fixtures.account(), **fields)
        decide(context, [message_id])
        driver.run_until_quiet()
        return fixtures.case(message_id).case_id

    return hold_message


@pytest.fixture
def case_id(hold: Hold) -> UUID:
    """Hold a message to an inbox."""
    return hold()


def test_a_case_shows_why_it_is_held_with_the_place_marked(browser: Browser, fixtures: Fixtures, case_id: UUID) -> None:
    add_staff(fixtures.database)
    browser.log_in()

    queue = browser.open("/desk")
    page = browser.open(f"/desk/cases/{case_id}")

    assert f"/desk/cases/{case_id}" in queue.text
    assert f'Please <mark tabindex="-1">{HELD_PHRASE}</mark> today.' in page.text
    assert "1 recipient" in browser.text
    assert "no message between them before" in browser.text


def test_approving_lets_the_message_go_and_leads_to_the_next_case(
    browser: Browser, fixtures: Fixtures, hold: Hold
) -> None:
    add_staff(fixtures.database)
    first, second = (hold(subject=each) for each in ("First", "Second"))
    browser.log_in()
    browser.open(f"/desk/cases/{first}")

    answer = browser.send(f"/desk/cases/{first}/approve", next=str(second))

    assert f"/desk/cases/{second}" == answer.url.path
    assert "Approved: First" in browser.text
    assert [CaseState.DECIDED, CaseState.OPEN] == states(fixtures)


def states(fixtures: Fixtures) -> list[CaseState]:
    """Return the states of all cases, in the order in which they were opened."""
    return [CaseState(row.state) for row in fixtures.run_sql("SELECT state FROM vetting_case ORDER BY opened_at")]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["subject", "body", "sender_name"])
def test_what_a_sender_wrote_is_shown_as_text(
    browser: Browser, fixtures: Fixtures, hold: Hold, field: str, text: str
) -> None:
    add_staff(fixtures.database)
    limit = {"subject": 200, "sender_name": 100}.get(field, 30_000)
    plain = hold()
    hostile = hold(**{field: text[:limit] + (HELD_PHRASE if field == "body" else "")})

    assert tags_of(browser, plain) == tags_of(browser, hostile)
    assert "1337" not in browser.text


def tags_of(browser: Browser, case_id: UUID) -> set[str]:
    """Return the names of all tags and attributes of a case page, without those of marks and hidden characters."""
    if browser.page is None:
        browser.log_in()
    markup = re.findall(r"<[a-z/!][^>]*>", browser.open(f"/desk/cases/{case_id}").text)
    return {re.sub(r'"[^"]*"', "", each) for each in markup} - _OF_HIDDEN_CHARACTERS


def test_the_characters_that_no_reader_sees_are_spelled_out(browser: Browser, fixtures: Fixtures, hold: Hold) -> None:
    add_staff(fixtures.database)
    browser.log_in()

    hidden = hold(body=f"a\u200bb \u202ec {HELD_PHRASE}")
    page = browser.open(f"/desk/cases/{hidden}")

    assert '<span class="unseen" title="zero width space">U+200B</span>' in page.text
    assert '<span class="unseen" title="right-to-left override">U+202E</span>' in page.text
    assert "It has 2 characters that readers do not see." in browser.text


def test_links_are_text_with_the_registered_domain_apart(browser: Browser, fixtures: Fixtures, hold: Hold) -> None:
    add_staff(fixtures.database)
    browser.log_in()

    body = f"{HELD_PHRASE} https://bank.com.login.evil.co.uk/x"
    page = browser.open(f"/desk/cases/{hold(body=body)}")

    assert "<bdi>bank.com.login.<b>evil.co.uk</b></bdi>" in page.text
    assert 'href="http' not in page.text


def test_polling_returns_what_changed_and_nothing_when_nothing_did(
    browser: Browser, fixtures: Fixtures, hold: Hold, case_id: UUID
) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    opened_at = fixtures.run_sql("SELECT opened_at FROM vetting_case")[0].opened_at
    address = {"since": opened_at.isoformat(), "ids": str(case_id)}

    first = browser.http.get("/desk/waiting", params=address)
    same = browser.http.get("/desk/waiting", params=address, headers={"If-None-Match": first.headers["ETag"]})
    hold()
    browser.open(f"/desk/cases/{case_id}")
    browser.send(f"/desk/cases/{case_id}/approve")
    changed = browser.http.get("/desk/waiting", params=address, headers={"If-None-Match": first.headers["ETag"]})

    assert ({"closed": {}, "newer": 0, "others": []}, 304) == (first.json(), same.status_code)
    assert 1 == changed.json()["newer"]
    assert [str(case_id)] == list(changed.json()["closed"])


@pytest.mark.parametrize("path", ["/desk/cases/x", "/desk/cases/0199a1b2-0000-7000-8000-000000000000"])
def test_a_case_that_does_not_exist_is_a_page(browser: Browser, fixtures: Fixtures, path: str) -> None:
    add_staff(fixtures.database)
    browser.log_in()

    answer = browser.open(path)

    assert 404 == answer.status_code
    assert "There is no case at this address." in browser.text


def test_a_rejection_has_a_reason_a_note_and_a_sentence_for_the_sender(
    browser: Browser, fixtures: Fixtures, case_id: UUID
) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")
    words = {"reason": "spam", "note": "<i>seen</i>\nbefore", "sentence": "Please write about a job."}

    browser.send(f"/desk/cases/{case_id}/reject", **words)
    page = browser.open(f"/desk/cases/{case_id}")

    (row,) = fixtures.run_sql("SELECT verdict, reason, note, sentence, actor_kind FROM case_decision")
    assert ("reject", *words.values(), "staff") == tuple(row)
    assert "&lt;i&gt;seen&lt;/i&gt;" in page.text
    assert "It takes effect in" in browser.text


def test_a_decision_is_taken_back_before_it_takes_effect(browser: Browser, fixtures: Fixtures, case_id: UUID) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")
    browser.send(f"/desk/cases/{case_id}/approve")
    decision = fixtures.run_sql("SELECT id FROM case_decision")[0].id

    undone = browser.send(f"/desk/cases/{case_id}/undo", decision=str(decision))
    again = browser.send(f"/desk/cases/{case_id}/undo", decision=str(decision))

    assert (200, 409) == (undone.status_code, again.status_code)
    assert [CaseState.OPEN] == states(fixtures)
    assert "This decision was undone by Vera" in browser.text


def test_the_second_decider_is_told_who_was_first(
    browser: Browser, fixtures: Fixtures, case_id: UUID, http: httpx2.Client, new_browser: Callable[..., Browser]
) -> None:
    add_staff(fixtures.database)
    add_staff(fixtures.database, "Walter")
    second = new_browser(http)
    browser.log_in()
    second.log_in("Walter")
    for each in (browser, second):
        each.open(f"/desk/cases/{case_id}")

    browser.send(f"/desk/cases/{case_id}/approve")
    answer = second.send(f"/desk/cases/{case_id}/reject")

    assert 409 == answer.status_code
    assert "This case is decided: approve by Vera at" in second.text
    assert "Your decision changed nothing." in second.text
    assert 1 == fixtures.count("case_decision")


def test_a_page_of_an_older_version_decides_nothing(browser: Browser, fixtures: Fixtures, case_id: UUID) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")

    answer = browser.send(f"/desk/cases/{case_id}/approve", version="7")

    assert 409 == answer.status_code
    assert "The case has changed" in browser.text
    assert [CaseState.OPEN] == states(fixtures)


def test_some_recipients_are_decided_and_the_others_stay_held(
    browser: Browser, fixtures: Fixtures, driver: StepDriver, context: StepContext
) -> None:
    add_staff(fixtures.database)
    first, second = fixtures.accounts(2)
    message_id = fixtures.message(first, second, body=HELD_PHRASE)
    decide(context, [message_id])
    driver.run_until_quiet()
    case_id = fixtures.case(message_id).case_id
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")

    none = browser.send(f"/desk/cases/{case_id}/some", verdict="approve")
    browser.send(f"/desk/cases/{case_id}/some", verdict="approve", **{f"only-{second}": "1"})

    assert 400 == none.status_code
    (row,) = fixtures.run_sql("SELECT verdict, only_accounts FROM case_decision")
    assert ("approve", [second]) == tuple(row)


@pytest.mark.parametrize("is_sender", [True, False])
def test_no_person_decides_about_a_message_that_this_person_sent_or_received(
    browser: Browser, fixtures: Fixtures, driver: StepDriver, context: StepContext, *, is_sender: bool
) -> None:
    account_id = fixtures.account(email="vera@example.com")
    sent = {"sender_email": "VERA@example.com"} if is_sender else {}
    message_id = fixtures.message(fixtures.account() if is_sender else account_id, body=HELD_PHRASE, **sent)
    decide(context, [message_id])
    driver.run_until_quiet()
    case_id = fixtures.case(message_id).case_id
    facts = {"email": "vera@example.com"} if is_sender else {"account_id": account_id}
    add_staff(fixtures.database, **facts)
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")

    answer = browser.send(f"/desk/cases/{case_id}/approve")

    assert 409 == answer.status_code
    assert "You sent or received this message" in browser.text
    assert [CaseState.OPEN] == states(fixtures)


def test_a_note_that_was_typed_is_shown_again_when_the_login_has_ended(
    browser: Browser, fixtures: Fixtures, case_id: UUID
) -> None:
    add_staff(fixtures.database)
    browser.log_in()
    browser.open(f"/desk/cases/{case_id}")
    fixtures.run_sql("DELETE FROM staff_session")

    answer = browser.send(f"/desk/cases/{case_id}/reject", note="A long <note> of mine", reason="spam")

    assert 401 == answer.status_code
    assert "A long &lt;note&gt; of mine</textarea>" in answer.text
    assert f'href="/desk/login?next=/desk/cases/{case_id}"' in answer.text
    assert [CaseState.OPEN] == states(fixtures)
