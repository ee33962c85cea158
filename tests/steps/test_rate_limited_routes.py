"""Rate limits over HTTP."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx2
import pytest
from uuid_utils.compat import uuid7

from delivery.credentials import generate_credential
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind
from tests.support.api_server import open_door
from tests.support.credentials import minted, text_of
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.usefixtures("broker")

Headers = dict[str, str]
_ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def key(fixtures: Fixtures, settings: Settings) -> Headers:
    """Return the credential of a client with all scopes."""
    minted = generate_credential(CredentialKind.API_KEY, settings.pepper)
    with transaction(fixtures.database) as db:
        clients.add_credentials(db, fixtures.client_id, [minted])
    return {"X-Proz-API-Key": minted.text.get_secret_value()}


def test_the_answer_to_too_much_has_the_form_of_every_error_and_says_when_to_try_again(
    settings: Settings, key: Headers
) -> None:
    with open_door(settings.model_copy(update={"requests_per_minute": 3})) as http:
        answers = [http.get("/messages", headers=key) for _ in range(4)]

    assert [200, 200, 200, 429] == [answer.status_code for answer in answers]
    refused = answers[-1].json()
    assert {"success", "error", "error_description", "error_messages", "request_id"} == set(refused)
    assert (0, "rate_limited") == (refused["success"], refused["error"])
    assert [refused["error_description"]] == refused["error_messages"]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 61


def test_a_client_with_a_limit_of_its_own_has_that(settings: Settings, fixtures: Fixtures, key: Headers) -> None:
    fixtures.run_sql("UPDATE client SET requests_per_minute = 2, recipients_per_minute = 1 RETURNING id")
    known = fixtures.account()

    with open_door(settings) as http:
        answers = [_post(http, key, [known]) for _ in range(3)]

    assert [201, 429, 429] == [answer.status_code for answer in answers]
    assert "recipients" in answers[1].json()["error_description"]
    assert "requests" in answers[2].json()["error_description"]
    assert 1 == fixtures.count("message")


def test_requests_at_once_get_no_more_than_one_after_the_other(
    settings: Settings, fixtures: Fixtures, key: Headers
) -> None:
    known = fixtures.account()

    with (
        open_door(settings.model_copy(update={"requests_per_minute": 5})) as http,
        ThreadPoolExecutor(25) as pool,
    ):
        codes = [answer.status_code for answer in pool.map(lambda _: _post(http, key, [known]), range(25))]

    assert {201: 5, 429: 20} == {code: codes.count(code) for code in set(codes)}
    assert 5 == fixtures.count("message")


def test_a_client_that_guesses_keys_is_refused_and_a_good_key_from_there_is_not(
    settings: Settings, key: Headers
) -> None:
    wrong = {"X-Proz-API-Key": f"pk_{'0' * 16}_{'A' * 43}"}

    with open_door(settings.model_copy(update={"refused_credentials_per_minute": 3})) as http:
        before = http.get("/messages", headers=key).status_code
        guesses = [http.get("/messages", headers=wrong).status_code for _ in range(5)]
        after = http.get("/messages", headers=key).status_code

    assert (200, [401, 401, 401, 429, 429], 200) == (before, guesses, after)


def test_a_client_that_guesses_secrets_is_refused_and_a_good_secret_from_there_is_not(
    settings: Settings, fixtures: Fixtures
) -> None:
    secret = text_of(minted(fixtures, settings, CredentialKind.CLIENT_SECRET))
    good = {"grant_type": "client_credentials", "client_id": str(fixtures.client_id), "client_secret": secret}

    with open_door(settings.model_copy(update={"refused_credentials_per_minute": 3})) as http:
        guesses = [http.post("/oauth/token", data={**good, "client_secret": "x"}).status_code for _ in range(5)]
        after = http.post("/oauth/token", data=good).status_code

    assert ([401, 401, 401, 429, 429], 200) == (guesses, after)


def test_a_client_that_guesses_accounts_learns_no_more_than_the_limit(
    settings: Settings, fixtures: Fixtures, key: Headers
) -> None:
    known = fixtures.account()

    with open_door(settings.model_copy(update={"unknown_recipients_per_hour": 30})) as http:
        guesses = [_post(http, key, [known, *(uuid7() for _ in range(20))]) for _ in range(3)]
        afterwards = _post(http, key, [known])

    assert [400, 429, 429] == [answer.status_code for answer in guesses]
    assert 429 == afterwards.status_code
    assert 0 == fixtures.count("message")


def test_a_client_whose_guesses_are_used_up_still_reaches_accounts_that_it_registered_or_has_written_to(
    settings: Settings, fixtures: Fixtures, key: Headers
) -> None:
    reached, never_reached, registered = fixtures.account(), fixtures.account(), uuid7()
    account = {"name": "Ada", "email": "ada@example.com"}

    with open_door(settings.model_copy(update={"unknown_recipients_per_hour": 20})) as http:
        http.put(f"/accounts/{registered}", json=account, headers=key)
        before = _post(http, key, [reached])
        _post(http, key, [uuid7() for _ in range(21)])
        asked = ([reached], [registered], [registered, reached], [never_reached], [reached, never_reached], [uuid7()])
        afterwards = [_post(http, key, each).status_code for each in asked]

    assert 201 == before.status_code
    assert [201, 201, 201, 429, 429, 429] == afterwards
    expected = {(fixtures.client_id, registered), (fixtures.client_id, reached)}
    assert expected == {tuple(row) for row in fixtures.run_sql("SELECT client_id, account_id FROM contact")}


def _post(http: httpx2.Client, key: Headers, recipients: Sequence[UUID]) -> httpx2.Response:
    message: dict[str, Any] = {
        "recipient_uuids": [str(each) for each in recipients],
        "sender_name": "Grace",
        "subject": "Hello",
        "body": "How are you?",
    }
    return http.post("/messages", json=message, headers={**key, **_ASYNC})
