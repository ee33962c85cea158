"""The API writes a security log: refused credentials, limits that begin to bite, first uses and changed addresses."""

import httpx2
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from delivery.logs.security import LOGGER
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind, Scope
from tests.support.api_server import open_door
from tests.support.credentials import minted, text_of
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.usefixtures("broker")
KEY = "X-Proz-API-Key"


def lines_of(written: list[EventDict], event: str) -> list[EventDict]:
    """Return the lines of the security log about this event."""
    return [each for each in written if each["event"] == event and each["logger"] == LOGGER]


def test_a_refused_credential_is_logged_by_its_prefix_and_the_digest_of_its_network(
    settings: Settings, fixtures: Fixtures
) -> None:
    wrong = f"{minted(fixtures, settings).prefix}_{'A' * 43}"
    basic = ("grant_type=client_credentials&client_id=x&client_secret=" + wrong.replace("pk_", "cs_")).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    with capture_logs() as written, open_door(settings) as http:
        refused = [http.get("/messages", headers={KEY: wrong}) for _ in range(9)]
        refused.append(http.post("/oauth/token", content=basic, headers=form))

    assert {401} == {each.status_code for each in refused}
    first, tenth = lines_of(written, "credential_refused")
    assert (1, wrong[:19], 401) == (first["times_this_minute"], first["credential"], first["status"])
    assert (10, wrong[:19].replace("pk_", "cs_")) == (tenth["times_this_minute"], tenth["credential"])
    assert 32 == len(first["network"])
    assert (False, False) == ("127.0.0.1" in str(written), "A" * 43 in str(written))


@pytest.mark.parametrize(
    ("setting", "limit"),
    [
        ({"requests_per_minute": 1}, "requests"),
        ({"refused_credentials_per_minute": 1}, "refused_credentials"),
    ],
)
def test_a_limit_that_begins_to_bite_is_logged(
    settings: Settings, fixtures: Fixtures, setting: dict[str, int], limit: str
) -> None:
    key = "none" if limit == "refused_credentials" else text_of(minted(fixtures, settings))

    with capture_logs() as written, open_door(settings.model_copy(update=setting)) as http:
        answers = [http.get("/messages", headers={KEY: key}).status_code for _ in range(3)]

    assert 429 == answers[-1]
    (line,) = lines_of(written, "limit_reached")
    assert limit == line["limit"]


def test_a_scope_that_was_not_granted_is_logged(settings: Settings, fixtures: Fixtures) -> None:
    key = text_of(minted(fixtures, settings, scopes=[Scope.MESSAGE_SEND]))

    with capture_logs() as written, open_door(settings) as http:
        answer = http.get("/messages", headers={KEY: key})

    assert 403 == answer.status_code
    (line,) = lines_of(written, "scope_refused")
    assert (str(fixtures.client_id), Scope.MESSAGE_READ) == (line["client_id"], line["scope"])


def test_the_first_use_of_a_key_and_a_changed_address_are_logged_and_recorded_once(
    settings: Settings, fixtures: Fixtures
) -> None:
    account_id, key = fixtures.account(email="old@example.com"), minted(fixtures, settings, CredentialKind.API_KEY)

    def put(http: httpx2.Client, address: str) -> int:
        fields = {"name": "Ada", "email": address}
        return http.put(f"/accounts/{account_id}", json=fields, headers={KEY: text_of(key)}).status_code

    with capture_logs() as written, open_door(settings) as http:
        answers = [put(http, address) for address in ("new@example.com", "new@example.com")]

    assert [200, 200] == answers
    (used,), (changed,) = (lines_of(written, event) for event in ("credential_first_used", "address_changed"))
    assert (key.prefix, str(fixtures.client_id)) == (used["credential"], used["client_id"])
    assert (str(account_id), str(fixtures.client_id)) == (changed["account_id"], changed["client_id"])
    rows = fixtures.run_sql("SELECT kind, actor FROM security_event ORDER BY kind")
    by = f"client {fixtures.client_id}"
    assert [("address_changed", by), ("credential_first_used", by)] == [tuple(each) for each in rows]
    assert "example.com" not in str(lines_of(written, "address_changed"))
