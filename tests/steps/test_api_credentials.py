"""Credentials over HTTP: which requests are accepted, and the errors of the others."""

from collections.abc import Callable
from datetime import timedelta

import httpx2
import pytest
from redis import Redis

from delivery.credentials import generate_credential
from delivery.records.database import transaction
from delivery.records.identities import credentials
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind, Scope
from tests.support.api_server import open_door
from tests.support.credentials import PAST, minted, text_of
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until

KEY, SECRET, TOKEN = CredentialKind.API_KEY, CredentialKind.CLIENT_SECRET, CredentialKind.ACCESS_TOKEN
HOUR = timedelta(hours=1)
PATH = "/messages"


def ask(http: httpx2.Client, **headers: str) -> httpx2.Response:
    """Request the list of messages."""
    return http.get(PATH, headers={name.replace("_", "-"): value for name, value in headers.items()})


def bearer(token: str) -> str:
    """Return the header that carries a token."""
    return f"Bearer {token}".strip()


@pytest.mark.parametrize("header", ["X-Proz-API-Key", "X-API-Key", "x-proz-api-key"])
def test_a_key_gets_in(http: httpx2.Client, fixtures: Fixtures, settings: Settings, header: str) -> None:
    assert 200 == ask(http, **{header: text_of(minted(fixtures, settings))}).status_code


def test_a_token_gets_in(http: httpx2.Client, fixtures: Fixtures, settings: Settings) -> None:
    token = text_of(minted(fixtures, settings, TOKEN, lifetime=HOUR))

    assert 200 == ask(http, Authorization=bearer(token)).status_code


def test_a_wrong_unknown_expired_or_revoked_key_gets_one_and_the_same_error(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings
) -> None:
    good, expired, revoked = (
        minted(fixtures, settings),
        minted(fixtures, settings, lifetime=PAST),
        minted(fixtures, settings),
    )
    with transaction(fixtures.database) as db:
        credentials.revoke(db, revoked.prefix)
    wrong = f"{good.prefix}_{'A' * 43}"
    others = [text_of(minted(fixtures, settings, kind, lifetime=HOUR)) for kind in (SECRET, TOKEN)]
    presented = [
        "",
        "garbage",
        wrong,
        text_of(generate_credential(KEY, settings.pepper)),
        text_of(expired),
        text_of(revoked),
        *others,
    ]

    answers = [ask(http, X_API_Key=key) for key in presented]

    for answer in answers:
        content = answer.json()
        assert answer.headers["X-Request-Id"] == content.pop("request_id")
        assert 401 == answer.status_code
        assert 'Bearer realm="Service"' == answer.headers["WWW-Authenticate"]
        assert {
            "success": 0,
            "error": "invalid_api_key",
            "error_description": "Invalid API key.",
            "error_messages": ["Invalid API key."],
        } == content


def test_a_bad_token_is_distinguished_from_an_expired_one(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings
) -> None:
    expired = minted(fixtures, settings, TOKEN, lifetime=PAST)
    forged = f"{expired.prefix}_{'A' * 43}"
    presented = [text_of(expired), forged, "", "garbage", "a.b.c", text_of(minted(fixtures, settings))]

    answers = [ask(http, Authorization=bearer(token)) for token in presented]

    assert ["expired_token", *["invalid_token"] * 5] == [answer.json()["error"] for answer in answers]
    for answer in answers:
        description = answer.json()["error_description"]
        challenge = f'Bearer realm="Service", error="invalid_token", error_description="{description}"'
        assert (401, challenge) == (answer.status_code, answer.headers["WWW-Authenticate"])


def test_none_at_all_is_unauthorized(http: httpx2.Client) -> None:
    answer = ask(http)

    assert (401, "unauthorized") == (answer.status_code, answer.json()["error"])
    assert 'Bearer realm="Service"' == answer.headers["WWW-Authenticate"]


def test_a_key_and_a_token_together_are_an_invalid_request(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings
) -> None:
    key = text_of(minted(fixtures, settings))

    answer = ask(http, X_API_Key=key, Authorization="Bearer x")

    content = answer.json()
    assert (400, "invalid_request") == (answer.status_code, content["error"])
    assert [("Authorization", "invalid_request")] == [(each["field"], each["code"]) for each in content["errors"]]
    assert "WWW-Authenticate" not in answer.headers
    assert key not in answer.text


def test_credentials_in_a_query_or_a_body_count_for_nothing(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings
) -> None:
    token = text_of(minted(fixtures, settings, TOKEN, lifetime=HOUR))

    in_query = http.get(PATH, params={"access_token": token, "api_key": token})
    in_body = http.post(PATH, data={"access_token": token})

    assert ["unauthorized"] * 2 == [answer.json()["error"] for answer in (in_query, in_body)]


@pytest.mark.parametrize("kind", [KEY, TOKEN])
def test_a_credential_without_the_scope_learns_which_one_it_needs(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings, kind: CredentialKind
) -> None:
    narrow = text_of(minted(fixtures, settings, kind, scopes=[Scope.MESSAGE_SEND], lifetime=HOUR))
    headers = {"X_API_Key": narrow} if kind is KEY else {"Authorization": bearer(narrow)}

    answer = ask(http, **headers)

    description = answer.json()["error_description"]
    assert (403, "insufficient_scope") == (answer.status_code, answer.json()["error"])
    assert (
        f'Bearer realm="Service", error="insufficient_scope", error_description="{description}", scope="message.read"'
        == answer.headers["WWW-Authenticate"]
    )


def test_a_declared_length_is_checked_before_credentials_and_these_before_the_body(http: httpx2.Client) -> None:
    too_long = http.post(PATH, content=b"x" * (1024 * 1024 + 1))
    malformed = http.post(PATH, content=b"{", headers={"Content-Type": "application/json"})

    assert [413, 401] == [too_long.status_code, malformed.status_code]


def test_a_revocation_takes_effect_within_a_moment(http: httpx2.Client, fixtures: Fixtures, settings: Settings) -> None:
    key = minted(fixtures, settings)
    assert 200 == ask(http, X_API_Key=text_of(key)).status_code

    with transaction(fixtures.database) as db:
        credentials.revoke(db, key.prefix)

    wait_until(lambda: ask(http, X_API_Key=text_of(key)).status_code == 401, within_s=2)


def test_use_is_recorded_beside_the_requests(http: httpx2.Client, fixtures: Fixtures, settings: Settings) -> None:
    key, token = minted(fixtures, settings), minted(fixtures, settings, TOKEN, lifetime=HOUR)
    used = "SELECT last_used_at FROM credential WHERE prefix = :prefix AND last_used_at IS NOT NULL"

    for _ in range(3):
        ask(http, X_API_Key=f"{key.prefix}_{'A' * 43}")
        ask(http, Authorization=bearer(text_of(token)))
    assert not fixtures.run_sql(used, prefix=key.prefix)
    ask(http, X_API_Key=text_of(key))

    wait_until(lambda: fixtures.run_sql(used, prefix=key.prefix))
    assert not fixtures.run_sql(used, prefix=token.prefix)


def test_an_address_with_too_many_refused_credentials_is_asked_to_wait_at_every_place_for_credentials(
    settings: Settings, fixtures: Fixtures, broker: Redis
) -> None:
    del broker
    strict = settings.model_copy(update={"refused_credentials_per_minute": 2})
    form = {"grant_type": "client_credentials", "client_id": str(fixtures.client_id), "client_secret": "x"}

    with open_door(strict) as http:
        refused = [ask(http, X_API_Key="x"), ask(http, Authorization="Bearer x")]
        late = [ask(http, X_API_Key="x"), http.post("/oauth/token", data=form)]
        good = ask(http, X_API_Key=text_of(minted(fixtures, settings)))

    assert [401, 401, 429, 429, 200] == [answer.status_code for answer in [*refused, *late, good]]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in late)


FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
REFUSALS: dict[str, Callable[[httpx2.Client], httpx2.Response]] = {
    "a missing grant": lambda http: http.post("/oauth/token", data={"a": "1"}),
    "another grant": lambda http: http.post("/oauth/token", data={"grant_type": "password"}),
    "no form": lambda http: http.post("/oauth/token", json={}),
    "a malformed form": lambda http: http.post("/oauth/token", content=b"a=1&a=2", headers=FORM_TYPE),
    "a long form": lambda http: http.post("/oauth/token", content=b"a" * 8193, headers=FORM_TYPE),
    "two keys": lambda http: http.get("/messages", headers=[("X-API-Key", "x"), ("X-API-Key", "y")]),
    "no credential": lambda http: http.get("/messages"),
    "a declared length": lambda http: http.post("/messages", content=b" " * (1024 * 1024 + 1)),
    "a wrong link": lambda http: http.get("/unsubscribe/x"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_every_refusal_of_an_unknown_client_counts_against_its_address(
    settings: Settings, fixtures: Fixtures, broker: Redis, what: str
) -> None:
    del broker
    strict = settings.model_copy(update={"refused_credentials_per_minute": 2})

    with open_door(strict) as http:
        answers = [REFUSALS[what](http) for _ in range(3)]
        good = ask(http, X_API_Key=text_of(minted(fixtures, settings)))

    assert 400 <= answers[0].status_code < 429
    assert [answers[0].status_code, 429, 200] == [answers[1].status_code, answers[2].status_code, good.status_code]
    assert int(answers[2].headers["Retry-After"]) > 0


def test_a_client_with_limits_of_its_own_is_held_to_them(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings
) -> None:
    key = text_of(minted(fixtures, settings))
    fixtures.run_sql("UPDATE client SET requests_per_minute = 2")

    answers = [ask(http, X_API_Key=key).status_code for _ in range(3)]

    assert [200, 200, 429] == answers
