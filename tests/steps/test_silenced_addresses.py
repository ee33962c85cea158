"""An address that was unsubscribed stays silent for accounts that get it later, however they get it."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from delivery.credentials import generate_credential
from delivery.records.database import transaction
from delivery.records.identities import accounts, clients
from delivery.settings import Settings
from delivery.vocabulary import Channel, CredentialKind
from tests.support.fixtures import Fixtures
from tests.support.unsubscribe_links import ONE_CLICK, button, choose, path

Run = Callable[..., Any]
SILENT, LOUD = "silent@example.com", "loud@example.com"


@pytest.fixture
def page(fixtures: Fixtures, settings: Settings) -> str:
    """Return the path of the page of an account that gets e-mails at `SILENT`."""
    return path(fixtures.account(Channel.EMAIL, email=SILENT, is_closed=True), settings)


@pytest.fixture
def silenced(http: httpx2.Client, page: str) -> str:
    """Return an address that was unsubscribed."""
    http.post(page, data=ONE_CLICK)
    return SILENT


@pytest.fixture
def register(http: httpx2.Client, fixtures: Fixtures, settings: Settings) -> Callable[[UUID, str], None]:
    """Return a function that registers an account with this address by the API."""
    key = generate_credential(CredentialKind.API_KEY, settings.pepper)
    with transaction(fixtures.database) as db:
        clients.add_credentials(db, fixtures.client_id, [key])
    headers = {"X-API-Key": key.text.get_secret_value()}

    def put(account_id: UUID, email: str) -> None:
        answer = http.put(f"/accounts/{account_id}", headers=headers, json={"name": "Ada", "email": email})
        assert answer.status_code in {200, 201}

    return put


@pytest.fixture
def bring_in(import_file: Run) -> Callable[[UUID, str], None]:
    """Return a function that imports an account with this address, which is to get e-mails."""

    def run(account_id: UUID, email: str) -> None:
        row = {"uuid": str(account_id), "name": "Ada", "email": email, "channel": "email"}
        assert 0 == import_file(json.dumps(row) + "\n", name="accounts.jsonl").exit_code

    return run


def channel(fixtures: Fixtures, account_id: UUID) -> Channel:
    """Return the channel of an account."""
    with transaction(fixtures.database) as db:
        (facts,) = accounts.find(db, [account_id])
    return facts.channel


@pytest.mark.parametrize("change_case", [str, str.title, str.upper])
def test_a_new_account_with_a_silenced_address_gets_no_emails_by_any_import(
    fixtures: Fixtures, silenced: str, register: Run, bring_in: Run, change_case: Callable[[str], str]
) -> None:
    imported, registered, email = uuid4(), uuid4(), change_case(silenced)

    bring_in(imported, email)
    bring_in(imported, email)
    register(registered, email)
    bring_in(registered, email)

    assert [Channel.INBOX] * 2 == [channel(fixtures, each) for each in (imported, registered)]


@pytest.mark.parametrize("email", ["silent+news@example.com", LOUD])
@pytest.mark.usefixtures("silenced")
def test_another_address_is_not_silenced(fixtures: Fixtures, bring_in: Run, email: str) -> None:
    account_id = uuid4()

    bring_in(account_id, email)

    assert Channel.EMAIL is channel(fixtures, account_id)


def test_an_account_that_changes_to_a_silenced_address_gets_no_emails(
    fixtures: Fixtures, silenced: str, register: Run, bring_in: Run
) -> None:
    ids = [fixtures.account(Channel.EMAIL, email=LOUD) for _ in range(2)]

    register(ids[0], silenced.upper())
    bring_in(ids[1], silenced)

    assert [Channel.INBOX] * 2 == [channel(fixtures, each) for each in ids]


def test_a_later_choice_outlives_a_registration_with_the_same_address(
    fixtures: Fixtures, silenced: str, register: Run, bring_in: Run
) -> None:
    account_id = uuid4()
    register(account_id, silenced)
    choose(fixtures, account_id, Channel.EMAIL)

    register(account_id, silenced)
    register(account_id, silenced.upper())
    bring_in(account_id, silenced)

    assert Channel.EMAIL is channel(fixtures, account_id)


def test_the_undo_of_the_link_lifts_the_silence_of_its_address(
    http: httpx2.Client, fixtures: Fixtures, page: str, bring_in: Run
) -> None:
    account_id = uuid4()

    http.post(page, data=button(http.post(page, data=ONE_CLICK)))
    bring_in(account_id, SILENT)

    assert Channel.EMAIL is channel(fixtures, account_id)


def test_the_silence_outlives_that_all_accounts_leave_the_address(
    fixtures: Fixtures, silenced: str, register: Run, bring_in: Run
) -> None:
    coming, other = uuid4(), uuid4()
    with transaction(fixtures.database) as db:
        (first,) = db.exec_driver_sql("SELECT id FROM account WHERE email = %s", (silenced,)).scalars()

    register(first, LOUD)
    bring_in(coming, silenced)
    bring_in(other, LOUD)

    assert [Channel.INBOX, Channel.EMAIL] == [channel(fixtures, each) for each in (coming, other)]
