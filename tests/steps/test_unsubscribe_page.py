"""The unsubscribe page: a token is enough, GET changes nothing, and everything can be undone."""

import re
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest
from pydantic import SecretStr
from redis import Redis
from uuid_utils.compat import uuid7

from delivery.settings import Settings
from delivery.unsubscribe_tokens import LIFETIME
from delivery.vocabulary import Channel
from tests.support.api_server import open_door
from tests.support.fixtures import Fixtures
from tests.support.unsubscribe_links import ONE_CLICK, button, channel_of, heading, path

PART = b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n'


@pytest.fixture
def account_id(fixtures: Fixtures) -> UUID:
    """Store an account that gets e-mails."""
    return fixtures.account(Channel.EMAIL, name="<b>Ada</b>", is_closed=True)


@pytest.fixture
def page(account_id: UUID, settings: Settings) -> str:
    """Return the path of that account's page."""
    return path(account_id, settings)


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


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click\r\n"),
        ("application/x-www-form-urlencoded; charset=utf-8", b"List-Unsubscribe=One-Click&List-Unsubscribe=One-Click"),
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click&action=undo"),
        ("application/x-www-form-urlencoded", b"action=stop&a=1&a=2"),
        ("application/x-www-form-urlencoded", b"list-unsubscribe=one-click"),
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"\xff\xfe"),
        (None, b"List-Unsubscribe=One-Click"),
        (None, b""),
        ("", b"List-Unsubscribe=One-Click\n"),
        ("text/plain", b"List-Unsubscribe=One-Click\r\n"),
        ("application/octet-stream", b"List-Unsubscribe=One-Click"),
        ("application/json", b'{"List-Unsubscribe": "One-Click"}'),
        ("multipart/form-data; boundary=b", b"%s--b--\r\n" % PART),
        ("multipart/form-data; boundary=b", b"A preamble.\r\n%s%s--b--" % (PART, PART)),
        ("multipart/form-data; boundary=another", b"%s--b--\r\n" % PART),
        ("multipart/form-data", b"%s--b--\r\n" % PART),
        ("application/x-www-form-urlencoded", b"%s--b--\r\n" % PART),
        ("multipart/form-data; boundary=b", b"List-Unsubscribe=One-Click"),
        ("multipart/mixed; boundary=b", b"%s--b--\r\n" % PART),
        ("multipart/form-data; boundary=b", (b"%s--b--\r\n" % PART).replace(b"\r\n", b"\n")),
        ("application/x-www-form-urlencoded", b"List-Unsubscribe%3DOne-Click"),
        ("application/x-www-form-urlencoded", b"\xef\xbb\xbfList-Unsubscribe=One-Click"),
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click\0"),
        ("application/x-www-form-urlencoded; charset=utf-16", "List-Unsubscribe=One-Click".encode("utf-16")),
        ("application/x-www-form-urlencoded, text/plain", b"List-Unsubscribe=One-Click"),
        ("text/html", b"<p>List-Unsubscribe=One-Click</p>"),
        ("not a media type", b"List-Unsubscribe=One-Click"),
    ],
)
def test_a_mail_program_stops_emails_with_one_click_in_any_form_and_as_often_as_it_likes(  # noqa: PLR0917 - pytest hands them in by name
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str, content_type: str | None, body: bytes
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}

    answers = [http.post(page, content=body, headers=headers) for _ in range(2)]

    assert [(200, "E-mails are stopped")] * 2 == [(each.status_code, heading(each)) for each in answers]
    assert Channel.INBOX is channel_of(fixtures, account_id)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"data": {"action": "explode"}}),
        (400, {"content": b"action=stop&action=undo", "headers": {"Content-Type": "text/plain"}}),
        (400, {"files": {"action": (None, "explode")}}),
        (413, {"content": b"a" * 8193}),
    ],
)
def test_a_post_that_asks_for_something_else_changes_nothing(  # noqa: PLR0917 - pytest hands them in by name
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str, status: int, body: dict[str, object]
) -> None:
    answer = http.post(page, **body)  # type: ignore[arg-type] # a table

    assert (status, "Nothing was changed") == (answer.status_code, heading(answer))
    assert Channel.EMAIL is channel_of(fixtures, account_id)


@pytest.mark.parametrize(
    "form", ["{0}/", "{0}//", "{0}.", "{0}%20", "{0}%0D%0A", "{0}%3E", "{0}?utm_source=mail", "{1}", "{2}"]
)
def test_a_link_works_as_programs_on_its_way_write_it(http: httpx2.Client, page: str, form: str) -> None:
    head, _, token = page.rpartition("/")
    escaped = "".join(f"%{ord(char):02x}" for char in token)

    links = form.format(page, f"{head}/{escaped}", f"{head}/%{ord(token[0]):02X}{token[1:]}")
    answers = [http.get(links), http.post(links, data=ONE_CLICK)]

    assert [(200, "Stop e-mails?"), (200, "E-mails are stopped")] == [
        (each.status_code, heading(each)) for each in answers
    ]


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
        "/unsubscribe/",
        f"{page}/more",
        f"{page}%2Fmore",
        f"{page}%00%ff%zz",
        "/unsubscribe/%F0%9F%92%8C",
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
    answers = [http.get(f"/v2{page}"), http.get(f"/v2{page}%20"), http.delete(page), http.delete(f"{page}/")]

    assert [404, 404, 405, 405] == [answer.status_code for answer in answers]


def test_without_its_database_the_page_asks_for_patience(settings: Settings, page: str, broker: Redis) -> None:
    del broker
    nowhere = settings.model_copy(update={"database_url": SecretStr("postgresql://127.0.0.1:1/none")})

    with open_door(nowhere) as client:
        answers = [client.get(page), client.post(page, data=ONE_CLICK)]

    assert [(503, "Please try again")] * 2 == [(each.status_code, heading(each)) for each in answers]
    assert all("text/html" in each.headers["Content-Type"] and "Retry-After" in each.headers for each in answers)
