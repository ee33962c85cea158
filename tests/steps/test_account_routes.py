"""Accounts and preferences over HTTP: what a client writes is what it reads, and all faults come at once."""

from typing import Any
from uuid import UUID

import httpx2
import pytest
from redis import Redis
from uuid_utils.compat import uuid7

from delivery.credentials import generate_credential
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.settings import Settings
from delivery.vocabulary import Channel, CredentialKind, Scope
from tests.support.fixtures import Fixtures

ANNA = {"name": "Anna", "email": "anna@example.com"}
DEFAULTS: dict[str, Any] = {
    "channel": "inbox",
    "closed": False,
    "accepted_types": None,
    "allowed_senders": None,
    "blocked_senders": None,
    "muted_until": None,
    "quiet_hours": None,
}


@pytest.fixture
def http(open_client: httpx2.Client, fixtures: Fixtures, broker: Redis, settings: Settings) -> httpx2.Client:
    """Return a client with all scopes, of the API of an empty Postroom."""
    del broker
    open_client.headers["X-API-Key"] = _key(fixtures, settings, fixtures.client_id)
    return open_client


def test_an_account_is_created_and_then_replaced(http: httpx2.Client) -> None:
    path = f"/accounts/{uuid7()}"

    created = http.put(path, json={**ANNA, "status": "suspended", "time_zone": "Europe/Berlin", "shoe_size": 39})
    first = http.get(path)
    replaced = http.put(path, json={"name": "Bo", "email": "bo@b\u00fccher.example"})

    data = {"uuid": path[10:], **ANNA, "status": "suspended", "time_zone": "Europe/Berlin"}
    assert (201, {"success": 1, "meta": {}, "data": data}) == (created.status_code, created.json())
    assert (200, created.json()) == (first.status_code, first.json())
    bo = {"name": "Bo", "email": "bo@b\u00fccher.example", "status": "active", "time_zone": "UTC"}
    assert (200, {"uuid": path[10:], **bo}) == (replaced.status_code, replaced.json()["data"])
    assert replaced.json() == http.get(f"/v2{path}").json()


def test_replacing_an_account_leaves_its_preferences(http: httpx2.Client, fixtures: Fixtures) -> None:
    account_id = fixtures.account(Channel.EMAIL, is_closed=True)

    http.put(f"/accounts/{account_id}", json=ANNA)

    assert {**DEFAULTS, "channel": "email", "closed": True} == _preferences(http, account_id)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"email": "required", "name": "required"}),
        ({"name": None, "email": None}, {"email": "required", "name": "required"}),
        ({"name": " \u200b", "email": ""}, {"email": "blank", "name": "blank"}),
        ({"name": 7, "email": ["anna@example.com"]}, {"email": "wrong_type", "name": "wrong_type"}),
        ({"name": "x" * 121, "email": "a" * 250 + "@example.com"}, {"email": "too_long", "name": "too_long"}),
        ({"name": "An\nna", "email": "anna@localhost"}, {"email": "invalid_email", "name": "forbidden_character"}),
        ({**ANNA, "email": "Anna <anna@example.com>"}, {"email": "invalid_email"}),
        (
            {**ANNA, "status": "asleep", "time_zone": "Mars/Olympus"},
            {"status": "invalid_value", "time_zone": "invalid_value"},
        ),
        ({**ANNA, "status": 1, "time_zone": {}}, {"status": "wrong_type", "time_zone": "wrong_type"}),
        ({**ANNA, "time_zone": "../../etc/passwd"}, {"time_zone": "invalid_value"}),
        ({**ANNA, "time_zone": "europe/berlin"}, {"time_zone": "invalid_value"}),
        ({**ANNA, "time_zone": "localtime"}, {"time_zone": "invalid_value"}),
        ({**ANNA, "time_zone": "+02:00"}, {"time_zone": "invalid_value"}),
    ],
)
def test_every_fault_of_an_account_is_reported_at_once_and_nothing_stored(
    http: httpx2.Client, fixtures: Fixtures, fields: dict[str, object], expected: dict[str, str]
) -> None:
    answer = http.put(f"/accounts/{uuid7()}", json=fields)

    assert (400, expected) == (answer.status_code, _codes(answer))
    assert 0 == fixtures.count("account")


def test_preferences_of_a_new_account_are_the_defaults(http: httpx2.Client) -> None:
    account_id = uuid7()
    http.put(f"/accounts/{account_id}", json=ANNA)

    assert DEFAULTS == _preferences(http, account_id)


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({}, {}),
        ({"channel": "email", "closed": True}, {"channel": "email", "closed": True}),
        ({"channel": None, "closed": None, "quiet_hours": None}, {}),
        ({"accepted_types": []}, {"accepted_types": []}),
        ({"accepted_types": ["job", "rfq", "job"]}, {"accepted_types": ["job", "rfq"]}),
        ({"allowed_senders": []}, {"allowed_senders": []}),
        (
            {"blocked_senders": ["Bo@example.com", "0199AAAA-0000-7000-8000-000000000000"]},
            {"blocked_senders": ["Bo@example.com", "0199AAAA-0000-7000-8000-000000000000"]},
        ),
        ({"allowed_senders": ['{"a"}@example.com'.replace('"', "'")]}, {"allowed_senders": ["{'a'}@example.com"]}),
        ({"muted_until": "2030-01-31T09:00:00+02:00"}, {"muted_until": "2030-01-31T07:00:00Z"}),
        ({"muted_until": ""}, {}),
        (
            {"quiet_hours": {"from": "22:00", "until": "07:30", "why": "sleep"}},
            {"quiet_hours": {"from": "22:00", "until": "07:30"}},
        ),
        ({"quiet_hours": {"from": "00:00", "until": "00:00"}}, {"quiet_hours": {"from": "00:00", "until": "00:00"}}),
        ({"bedtime": 7}, {}),
    ],
)
def test_preferences_are_replaced_as_a_whole(
    http: httpx2.Client, fixtures: Fixtures, fields: dict[str, object], changed: dict[str, object]
) -> None:
    account_id = fixtures.account(Channel.EMAIL, is_closed=True, accepted_types=())

    put = http.put(f"/accounts/{account_id}/preferences", json=fields)

    assert (200, {**DEFAULTS, **changed}) == (put.status_code, put.json()["data"])
    assert {**DEFAULTS, **changed} == _preferences(http, account_id)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"channel": "pigeon", "closed": "yes"}, {"channel": "invalid_value", "closed": "wrong_type"}),
        ({"channel": [], "closed": 0}, {"channel": "wrong_type", "closed": "wrong_type"}),
        ({"closed": 1}, {"closed": "wrong_type"}),
        ({"accepted_types": "job"}, {"accepted_types": "wrong_type"}),
        (
            {"accepted_types": ["job", "spam", 7]},
            {"accepted_types[1]": "invalid_value", "accepted_types[2]": "wrong_type"},
        ),
        ({"accepted_types": ["job"] * 26}, {"accepted_types": "too_many"}),
        ({"allowed_senders": "bo@example.com"}, {"allowed_senders": "wrong_type"}),
        (
            {"allowed_senders": ["bo", None]},
            {"allowed_senders[0]": "invalid_value", "allowed_senders[1]": "wrong_type"},
        ),
        ({"blocked_senders": ["bo@example.com"] * 501}, {"blocked_senders": "too_many"}),
        ({"blocked_senders": ["a\u0000@example.com"]}, {"blocked_senders[0]": "invalid_value"}),
        ({"allowed_senders": [], "blocked_senders": []}, {"blocked_senders": "invalid_value"}),
        ({"muted_until": "tomorrow"}, {"muted_until": "invalid_value"}),
        ({"muted_until": "2030-01-31T09:00:00"}, {"muted_until": "invalid_value"}),
        ({"muted_until": 1893456000}, {"muted_until": "wrong_type"}),
        ({"quiet_hours": "22-7"}, {"quiet_hours": "wrong_type"}),
        ({"quiet_hours": {}}, {"quiet_hours.from": "required", "quiet_hours.until": "required"}),
        (
            {"quiet_hours": {"from": "24:00", "until": 7}},
            {"quiet_hours.from": "invalid_value", "quiet_hours.until": "wrong_type"},
        ),
        (
            {"quiet_hours": {"from": "22", "until": "7:00"}},
            {"quiet_hours.from": "invalid_value", "quiet_hours.until": "invalid_value"},
        ),
        (
            {"quiet_hours": {"from": "-1:00", "until": "\u0661\u0662:00"}},
            {"quiet_hours.from": "invalid_value", "quiet_hours.until": "invalid_value"},
        ),
    ],
)
def test_every_fault_of_preferences_is_reported_at_once_and_nothing_changed(
    http: httpx2.Client, fixtures: Fixtures, fields: dict[str, object], expected: dict[str, str]
) -> None:
    account_id = fixtures.account(Channel.EMAIL)

    answer = http.put(f"/accounts/{account_id}/preferences", json=fields)

    assert (400, expected) == (answer.status_code, _codes(answer))
    assert {**DEFAULTS, "channel": "email"} == _preferences(http, account_id)


@pytest.mark.parametrize("path", ["", "/preferences"])
@pytest.mark.parametrize(
    "account_id", ["0199aaaa-0000-7000-8000-000000000000", "7", "{0199aaaa-0000-7000-8000-00000000}"]
)
def test_an_unknown_account_gets_the_answer_of_a_malformed_id(http: httpx2.Client, account_id: str, path: str) -> None:
    answer = http.get(f"/accounts/{account_id}{path}".replace("{", "").replace("}", "z"))

    assert (404, "not_found") == (answer.status_code, answer.json()["error"])


def test_preferences_of_an_unknown_account_cannot_be_replaced(http: httpx2.Client, fixtures: Fixtures) -> None:
    answers = [http.put(f"/accounts/{each}/preferences", json={}) for each in (uuid7(), "7")]

    assert [404, 404] == [answer.status_code for answer in answers]
    assert 404 == http.put("/accounts/7", json=ANNA).status_code
    assert (0, 0) == (fixtures.count("account"), fixtures.count("preference"))


@pytest.mark.parametrize(
    ("scope", "expected"),
    [(Scope.ACCOUNT_READ, [200, 200, 403, 403]), (Scope.ACCOUNT_WRITE, [403, 403, 200, 200])],
)
def test_reading_and_writing_are_two_scopes(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings, scope: Scope, expected: list[int]
) -> None:
    path = f"/accounts/{fixtures.account()}"
    headers = {"X-API-Key": _key(fixtures, settings, fixtures.client(scopes=[scope]))}

    answers = [
        http.get(path, headers=headers),
        http.get(f"{path}/preferences", headers=headers),
        http.put(path, headers=headers, json=ANNA),
        http.put(f"{path}/preferences", headers=headers, json={}),
    ]

    assert expected == [answer.status_code for answer in answers]


def _preferences(http: httpx2.Client, account_id: UUID) -> dict[str, object]:
    answer = http.get(f"/accounts/{account_id}/preferences")
    data: dict[str, object] = answer.json()["data"]
    return data


def _codes(answer: httpx2.Response) -> dict[str, str]:
    return {each["field"]: each["code"] for each in answer.json()["errors"]}


def _key(fixtures: Fixtures, settings: Settings, client_id: UUID) -> str:
    key = generate_credential(CredentialKind.API_KEY, settings.pepper)
    with transaction(fixtures.database) as db:
        clients.add_credentials(db, client_id, [key])
    return key.text.get_secret_value()
