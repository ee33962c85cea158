"""What one client asks of the database never denies another client's sends and reads."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind
from tests.support.api_client import Headers, key_of, post
from tests.support.fixtures import Fixtures
from tests.support.seed import add_credential

# Enough to keep a pool of eight connections busy for longer than a request waits: a lock is waited for for 0.7 s.
_CROWD = 40
_ACCOUNT = {"name": "Ada", "email": "ada@example.com"}
_Request = Callable[[], httpx2.Response]


@pytest.fixture
def bystander(fixtures: Fixtures, settings: Settings) -> Headers:
    """Return the headers of another client than that of `key`."""
    return key_of(fixtures, settings, fixtures.client())


@pytest.fixture
def account_id(fixtures: Fixtures) -> UUID:
    """Return the id of an account that nothing locks."""
    return fixtures.account()


def test_reads_that_hang_delay_no_send_of_another_client(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, bystander: Headers, account_id: UUID
) -> None:
    with (
        _locked(fixtures, "LOCK TABLE refused_send"),
        _crowd(lambda: http.get(f"/messages/{uuid7()}", headers=key)) as refused,
    ):
        sent = [post(http, bystander, account_id, prefer="respond-async").status_code for _ in range(5)]

    assert [201] * 5 == sent
    assert {503} == set(refused)


def test_reads_that_hang_leave_connections_for_reads_of_another_client(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, bystander: Headers, account_id: UUID
) -> None:
    with (
        _locked(fixtures, "LOCK TABLE inbox_letter"),
        _crowd(lambda: http.get(f"/accounts/{account_id}/inbox", headers=key)),
    ):
        read = [http.get(f"/accounts/{account_id}", headers=bystander).status_code for _ in range(5)]

    assert [200] * 5 == read


def test_changes_of_a_locked_account_delay_no_send_and_no_change_of_another_client(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, bystander: Headers, account_id: UUID
) -> None:
    locked = fixtures.account()
    with (
        _locked(fixtures, f"SELECT FROM account WHERE id = '{locked}' FOR UPDATE"),
        _crowd(lambda: http.put(f"/accounts/{locked}", headers=key, json=_ACCOUNT)) as refused,
    ):
        sent = [post(http, bystander, account_id, prefer="respond-async").status_code for _ in range(5)]
        changed = http.put(f"/accounts/{account_id}", headers=bystander, json=_ACCOUNT).status_code

    assert ([201] * 5, 200) == (sent, changed)
    assert {503} == set(refused)


def test_tokens_that_cannot_be_stored_delay_no_send_and_no_credential_of_another_client(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings, bystander: Headers, account_id: UUID
) -> None:
    secret = add_credential(fixtures.database, fixtures.client_id, settings.pepper, CredentialKind.CLIENT_SECRET)
    form = {"grant_type": "client_credentials", "client_id": str(fixtures.client_id)}
    form["client_secret"] = secret.text.get_secret_value()

    with (
        _locked(fixtures, "LOCK TABLE credential IN EXCLUSIVE MODE"),
        _crowd(lambda: http.post("/oauth/token", data=form)) as refused,
    ):
        sent = [post(http, bystander, account_id, prefer="respond-async").status_code for _ in range(5)]

    assert [201] * 5 == sent
    assert {503} == set(refused)


@contextmanager
def _locked(fixtures: Fixtures, statement: str) -> Iterator[None]:
    with transaction(fixtures.database) as db:
        db.execute(text(statement))
        yield


@contextmanager
def _crowd(request: _Request) -> Iterator[list[int]]:
    """Send a request over many connections, again and again. Begin once two answers have come: then all hang."""
    statuses: list[int] = []
    is_over, hangs = Event(), Event()

    def repeat() -> None:
        while not is_over.is_set():
            statuses.append(request().status_code)
            if len(statuses) >= 2:
                hangs.set()

    with ThreadPoolExecutor(_CROWD) as pool:
        running = [pool.submit(repeat) for _ in range(_CROWD)]
        assert hangs.wait(10)
        try:
            yield statuses
        finally:
            is_over.set()
    for each in running:
        each.result()
