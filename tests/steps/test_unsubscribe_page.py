"""The unsubscribe page: a token is enough, GET changes nothing, and everything can be undone."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx2
import pytest
from pydantic import SecretStr
from redis import Redis
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.identities import accounts
from delivery.settings import Settings
from delivery.unsubscribe_tokens import LIFETIME, Permit, write_token
from delivery.vocabulary import Channel
from tests.support.api_server import open_door
from tests.support.fixtures import Fixtures

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def account_id(fixtures: Fixtures) -> UUID:
    """Store an account that gets e-mails."""
    return fixtures.account(Channel.EMAIL, name="<b>Ada</b>", is_closed=True)


@pytest.fixture
def page(account_id: UUID, settings: Settings) -> str:
    """Return the path of that account's page."""
    return path(account_id, settings)


def path(account_id: UUID, settings: Settings, *, age: timedelta = timedelta()) -> str:
    """Return the path in an e-mail of this age."""
    return f"/unsubscribe/{write_token(Permit(account_id, datetime.now(UTC) - age + LIFETIME), settings.pepper)}"


def channel_of(fixtures: Fixtures, account_id: UUID) -> Channel:
    """Return the channel of an account."""
    with transaction(fixtures.database) as db:
        (facts,) = accounts.find(db, [account_id])
    assert facts.is_closed  # What is not about e-mails stays as it was.
    return facts.channel


def heading(answer: httpx2.Response) -> str:
    """Return the heading of a page."""
    (found,) = re.findall("<h1>(.*)</h1>", answer.text)
    return str(found)


def button(answer: httpx2.Response) -> dict[str, str]:
    """Return what the button of a page sends."""
    ((name, value),) = re.findall('<button name="([^"]+)" value="([^"]+)">', answer.text)
    return {name: value}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_get_changes_nothing(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str, method: str
) -> None:
    answer = http.request(method, page)

    assert answer.status_code in {200, 204}
    assert Channel.EMAIL is channel_of(fixtures, account_id)


def test_a_person_reads_what_the_button_does_presses_it_and_undoes_it(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str
) -> None:
    look = http.get(page)
    stopped = http.post(page, data=button(look))
    after_stop = channel_of(fixtures, account_id)
    look_again = http.get(page)
    undone = http.post(page, data=button(stopped))

    headings = [heading(each) for each in (look, stopped, look_again, undone)]
    assert ["Stop e-mails?", "E-mails are stopped", "You get no e-mails", "E-mails are back"] == headings
    assert button(stopped) == button(look_again)
    assert (Channel.INBOX, Channel.EMAIL) == (after_stop, channel_of(fixtures, account_id))
    assert "will no longer come by e-mail" in stopped.text
    assert "To undo this, press the button" in stopped.text


@pytest.mark.parametrize("encoding", ["urlencoded", "multipart"])
def test_a_mail_program_stops_emails_with_one_click_as_often_as_it_likes(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str, encoding: str
) -> None:
    parts = {name: (None, value) for name, value in ONE_CLICK.items()}
    body = {"data": ONE_CLICK} if encoding == "urlencoded" else {"files": parts}

    answers = [http.post(page, **body) for _ in range(2)]

    assert [(200, "E-mails are stopped")] * 2 == [(each.status_code, heading(each)) for each in answers]
    assert Channel.INBOX is channel_of(fixtures, account_id)


@pytest.mark.parametrize(
    "body",
    [
        {"content": b""},
        {"data": {"List-Unsubscribe": "Two-Clicks"}},
        {"data": {"action": "explode"}},
        {"json": ONE_CLICK},
        {"content": b"\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"a=1&a=2", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    ],
)
def test_a_post_that_does_not_say_what_it_wants_changes_nothing(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str, body: dict[str, object]
) -> None:
    answer = http.post(page, **body)  # type: ignore[arg-type] # a table

    assert (400, "Nothing was changed") == (answer.status_code, heading(answer))
    assert Channel.EMAIL is channel_of(fixtures, account_id)


def test_a_link_works_for_a_year_and_then_says_that_it_has_expired(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, settings: Settings
) -> None:
    old = path(account_id, settings, age=LIFETIME + timedelta(minutes=1))
    young = path(account_id, settings, age=LIFETIME - timedelta(minutes=1))

    answers = [http.get(old), http.post(old, data=ONE_CLICK), http.get(young)]

    expired = (410, "This link has expired")
    assert [expired, expired, (200, "Stop e-mails?")] == [(each.status_code, heading(each)) for each in answers]
    assert Channel.EMAIL is channel_of(fixtures, account_id)


def test_every_wrong_link_is_one_page_that_tells_nothing(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, settings: Settings, page: str
) -> None:
    forged = settings.model_copy(update={"pepper": SecretStr("another pepper of thirty-two characters")})
    wrong = [
        path(account_id, forged),
        path(uuid7(), settings),
        f"{page}A",
        page[:-2],
        "/unsubscribe/x",
        "/unsubscribe/" + "A" * 49,
        "/unsubscribe/" + "A" * 5000,
        f"/unsubscribe/{account_id}",
    ]

    answers = [ask for each in wrong for ask in (http.get(each), http.post(each, data=ONE_CLICK))]

    assert {400} == {answer.status_code for answer in answers}
    assert 1 == len({answer.text for answer in answers})
    assert "This link does not work" == heading(answers[0])
    assert Channel.EMAIL is channel_of(fixtures, account_id)


def test_a_page_loads_nothing_leaks_nothing_and_runs_nothing(http: httpx2.Client, account_id: UUID, page: str) -> None:
    answer = http.get(page)

    assert "text/html; charset=utf-8" == answer.headers["Content-Type"]
    assert ("no-referrer", "no-store", "nosniff", "noindex") == tuple(
        answer.headers[name] for name in ("Referrer-Policy", "Cache-Control", "X-Content-Type-Options", "X-Robots-Tag")
    )
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"<script|<img|<link|https?:|//", answer.text)
    assert not [secret for secret in ("Ada", "example.com", str(account_id), page) if secret in answer.text]


def test_the_page_lives_at_one_address_only(http: httpx2.Client, page: str) -> None:
    answers = [http.get(f"/v2{page}"), http.get(f"{page}/"), http.delete(page)]

    assert [404, 404, 405] == [answer.status_code for answer in answers]


def test_without_its_database_the_page_asks_for_patience(settings: Settings, page: str, broker: Redis) -> None:
    del broker
    nowhere = settings.model_copy(update={"database_url": SecretStr("postgresql://127.0.0.1:1/none")})

    with open_door(nowhere) as client:
        answers = [client.get(page), client.post(page, data=ONE_CLICK)]

    assert [(503, "Please try again")] * 2 == [(each.status_code, heading(each)) for each in answers]
    assert all("text/html" in each.headers["Content-Type"] and "Retry-After" in each.headers for each in answers)
