"""The unsubscribe link against other choices: an undo overrides no later one, and the link ends with the address."""

from uuid import UUID

import httpx2
import pytest

from delivery.records.identities.accounts import AccountFacts
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tests.support.fixtures import Fixtures
from tests.support.unsubscribe_links import ONE_CLICK, button, channel_of, choose, heading, path, path_of_address


@pytest.fixture
def account_id(fixtures: Fixtures) -> UUID:
    """Store an account that gets e-mails."""
    return fixtures.account(Channel.EMAIL, is_closed=True)


@pytest.fixture
def page(account_id: UUID, settings: Settings) -> str:
    """Return the path of that account's page."""
    return path(account_id, settings)


@pytest.mark.parametrize("channel", [Channel.INBOX, Channel.EMAIL])
def test_an_undo_never_overrides_a_later_choice(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str, channel: Channel
) -> None:
    stopped = http.post(page, data=ONE_CLICK)
    choose(fixtures, account_id, channel)

    undone = http.post(page, data=button(stopped))

    assert channel is channel_of(fixtures, account_id)
    expected = (409, "You get no e-mails") if channel is Channel.INBOX else (200, "E-mails are back")
    assert expected == (undone.status_code, heading(undone))


def test_a_page_offers_no_undo_of_what_was_chosen_on_the_platform(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str
) -> None:
    http.post(page, data=ONE_CLICK)
    choose(fixtures, account_id, Channel.INBOX)

    answers = [http.get(page), http.post(page, data=ONE_CLICK), http.post(page, data={"action": "undo"})]

    assert [200, 200, 409] == [each.status_code for each in answers]
    assert ["You get no e-mails", "E-mails are stopped", "You get no e-mails"] == [heading(each) for each in answers]
    assert not any("<button" in each.text for each in answers)
    assert Channel.INBOX is channel_of(fixtures, account_id)


def test_an_undo_works_once_and_for_each_stop(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, page: str
) -> None:
    undo = {"action": "undo"}

    answers = [http.post(page, data=each) for each in (undo, ONE_CLICK, ONE_CLICK, undo, undo, ONE_CLICK, undo)]

    back, stopped = (200, "E-mails are back"), (200, "E-mails are stopped")
    assert [back, stopped, stopped, back, back, stopped, back] == [
        (each.status_code, heading(each)) for each in answers
    ]
    assert Channel.EMAIL is channel_of(fixtures, account_id)


def test_a_link_dies_with_the_address_that_it_was_sent_to(
    http: httpx2.Client, fixtures: Fixtures, account_id: UUID, settings: Settings
) -> None:
    link, before = path_of_address("ada@example.com", account_id, settings), path(account_id, settings)
    answers = []

    for address in ("ada@example.com", "Ada@EXAMPLE.com", "eve@example.com"):
        fixtures.put(AccountFacts(account_id, "Ada", address, channel=Channel.EMAIL, is_closed=True))
        answers += [http.get(link)]
    answers += [http.post(link, data=ONE_CLICK), http.post(link, data={"action": "undo"})]

    ended = (410, "This link has expired")
    assert [(200, "Stop e-mails?")] * 2 + [ended] * 3 == [(each.status_code, heading(each)) for each in answers]
    assert "has changed" in answers[-1].text
    assert Channel.EMAIL is channel_of(fixtures, account_id)
    # A link of a version before knows no address, and works until it expires.
    assert "E-mails are stopped" == heading(http.post(before, data=ONE_CLICK))
    assert Channel.INBOX is channel_of(fixtures, account_id)


def test_a_link_stops_and_its_undo_brings_back_all_accounts_with_the_address_but_no_later_choice(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings
) -> None:
    same, other = ("v@example.com", "V@Example.com", "v@example.com"), fixtures.account(Channel.EMAIL, is_closed=True)
    ids = [fixtures.account(Channel.EMAIL, email=email, is_closed=True) for email in same]
    page = path(ids[1], settings)

    stopped = http.post(page, data=ONE_CLICK)
    after_stop = [channel_of(fixtures, each) for each in (*ids, other)]
    choose(fixtures, ids[0], Channel.INBOX)
    choose(fixtures, ids[2], Channel.EMAIL)
    again = channel_of(fixtures, ids[2])
    http.post(page, data=button(stopped))

    assert [*[Channel.INBOX] * 3, Channel.EMAIL] == after_stop
    assert Channel.EMAIL is again
    assert [Channel.INBOX, Channel.EMAIL, Channel.EMAIL] == [channel_of(fixtures, each) for each in ids]
