"""What every response says to browsers, caches and the log."""

import httpx2
import pytest
from structlog.testing import capture_logs

from delivery.settings import Settings
from tests.support.api_client import Headers
from tests.support.api_server import open_door
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.usefixtures("broker")


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("/accounts/{account}", "no-store"),
        ("/accounts/{account}/preferences", "no-store"),
        ("/messages", "private, no-cache"),
        ("/messages/none", "no-store"),
        ("/nowhere", "no-store"),
        ("/healthz", "no-store"),
    ],
)
def test_no_cache_keeps_private_data_and_no_browser_guesses_types(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, path: str, cache: str
) -> None:
    answer = http.get(path.format(account=fixtures.account()), headers=key)

    assert ("nosniff", cache) == (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"])


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_runs_only_its_own_scripts_and_cannot_be_framed(http: httpx2.Client, path: str) -> None:
    answer = http.get(path)

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert ("DENY", "nosniff") == (answer.headers["X-Frame-Options"], answer.headers["X-Content-Type-Options"])
    assert 'src="/static-offline-docs/' in answer.text
    assert "https://" not in answer.text.replace("https://fastapi", "")


def test_the_documentation_can_be_switched_off(settings: Settings, fixtures: Fixtures) -> None:
    del fixtures
    with open_door(settings.model_copy(update={"docs": False})) as http:
        statuses = [http.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")]

    assert [404, 404, 200] == statuses


def test_each_refused_request_is_a_line_with_its_id_up_to_ten_of_a_kind(settings: Settings, key: Headers) -> None:
    wrong = {"X-API-Key": f"pk_{'0' * 16}_{'A' * 43}"}

    with capture_logs() as events, open_door(settings) as http:
        answers = [http.get("/messages", headers=wrong) for _ in range(12)]
        invalid = http.post("/messages", json={"body": "zanzibar"}, headers=key)

    lines = [each for each in events if each["event"] == "request_refused"]
    assert [each.headers["X-Request-Id"] for each in answers[:10]] == [each["request_id"] for each in lines[:10]]
    assert 11 == len(lines)
    assert {(401, "invalid_api_key", "0" * 16)} == {
        (each["status"], each["reason"], each["client"].removeprefix("pk_")) for each in lines[:10]
    }
    assert (400, "required") == (lines[10]["status"], lines[10]["reason"])
    assert invalid.headers["X-Request-Id"] == lines[10]["request_id"]
    assert "zanzibar" not in str(lines)
