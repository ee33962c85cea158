"""The pages of the mail sink."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from worker.embedded.mail_sink import MailStore, make_sink_app

UNREADABLE = b'From: "\r\nSubject: a\r\n\r\nHello\r\n'


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[TestClient]:
    """Yield a client of a sink with two mails, of which Python cannot read the second."""
    store = MailStore(tmp_path)
    store.keep(["ada@example.com"], b"From: grace@example.com\r\nSubject: <b>Hello\r\n\r\nHow are you?\r\n")
    store.keep(["ada@example.com"], UNREADABLE)
    yield TestClient(make_sink_app(store, ["mail-sink"]), base_url="http://localhost")
    store.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8025", 200), ("127.0.0.1", 200), ("mail-sink:8025", 200), ("evil.example", 400)],
)
def test_a_request_for_another_host_is_refused(pages: TestClient, host: str, status: int) -> None:
    assert [status] * 3 == [pages.get(path, headers={"Host": host}).status_code for path in ("/", "/mails", "/mails/1")]


def test_a_mail_that_cannot_be_read_is_shown_as_it_came_and_hides_no_other(pages: TestClient) -> None:
    listed, shown = pages.get("/"), pages.get("/mails/2")

    assert (200, 200) == (listed.status_code, shown.status_code)
    assert "&lt;b&gt;Hello" in listed.text
    assert "From: &quot;" in shown.text


def test_pages_load_and_run_nothing(pages: TestClient) -> None:
    policies = [pages.get(path).headers["Content-Security-Policy"] for path in ("/", "/mails/1", "/mails/99")]

    assert all(each.startswith("default-src 'none'") for each in policies)
