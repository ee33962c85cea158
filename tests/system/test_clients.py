"""Clients that were written for the ProZ v2 API work when only their base URL is changed."""

import json
import subprocess
from typing import Any

import httpx2
import pytest

from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

_READ_ONLY = {"time_created": "2020-01-01T00:00:00Z", "time_sent": "", "status": "sent", "status_code": "sent"}
_TEXTS = {"sender_name": "Zoë", "sender_email": "zoe@example.com", "subject": "Ein Auftrag & mehr", "body": "a=1&b\n"}


@pytest.fixture
def base_url(platform: Platform) -> str:
    """Return the base URL, the only thing that a client changes."""
    return f"{platform.facts['base_url']}/v2"


def test_a_form_as_python_sends_it_is_sent_and_read_back(platform: Platform, base_url: str) -> None:
    recipients = [platform.account("inbox-10"), platform.account("closed-to-all-1")]
    data = {"recipient_uuids": recipients, **_TEXTS, "type": "job", **_READ_ONLY}

    sent = httpx2.post(f"{base_url}/messages", data=data, headers=platform.headers, timeout=15)

    assert ("sent", [recipients[1]]) == _read_sent(sent.status_code, sent.json())
    read = httpx2.get(f"{platform.facts['base_url']}{sent.headers['Location']}", headers=platform.headers).json()
    assert {**_TEXTS, "type": "job", "status": "sent", "status_code": "sent"} == _read_back(read, "job")
    assert recipients == read["data"]["recipient_uuids"]


def test_php_with_curl_sends_an_array_and_reads_it_back(platform: Platform, base_url: str) -> None:
    recipients = [platform.account("inbox-11"), platform.account("inbox-12")]
    fields = {**{f"recipient_uuids[{i}]": each for i, each in enumerate(recipients)}, **_TEXTS, **_READ_ONLY}

    sent = _curl(f"{base_url}/messages", fields, *_header(platform.headers))

    assert ("sent", []) == _read_sent(201, sent)
    read = _curl(f"{base_url}/messages/{sent['meta']['message_uuid']}", {}, *_header(platform.headers))
    assert {**_TEXTS, "type": "other", "status": "sent", "status_code": "sent"} == _read_back(read, "other")
    assert recipients == read["data"]["recipient_uuids"]


def test_php_with_curl_gets_a_token_by_an_array(platform: Platform, base_url: str) -> None:
    facts = platform.facts
    grant = {"grant_type": "client_credentials", "scope": "message.send"}
    token = _curl(
        f"{base_url}/oauth/token", {**grant, "client_id": facts["client_id"], "client_secret": facts["client_secret"]}
    )

    bearer = _header({"Authorization": f"Bearer {token['access_token']}"})
    sent = _curl(f"{base_url}/messages", {"recipient_uuids[]": platform.account("inbox-13"), **_TEXTS}, *bearer)

    assert ("Bearer", "message.send") == (token["token_type"], token["scope"])
    assert ("sent", []) == _read_sent(201, sent)


def test_a_json_client_with_a_bearer_token_sends_and_reads_back(platform: Platform, base_url: str) -> None:
    credentials = (platform.facts["client_id"], platform.facts["client_secret"])
    token = httpx2.post(f"{base_url}/oauth/token", data={"grant_type": "client_credentials"}, auth=credentials).json()
    bearer = {"Authorization": f"{token['token_type']} {token['access_token']}"}
    message = {
        "recipient_uuids": platform.account("inbox-14"),
        **_TEXTS,
        "type": "rfq",
        **_READ_ONLY,
        "time_sent": None,
    }

    sent = httpx2.post(f"{base_url}/messages", json=message, headers=bearer, timeout=15)

    assert ("sent", []) == _read_sent(sent.status_code, sent.json())
    read = httpx2.get(f"{platform.facts['base_url']}{sent.headers['Location']}", headers=bearer).json()
    assert {**_TEXTS, "type": "rfq", "status": "sent", "status_code": "sent"} == _read_back(read, "rfq")


def test_a_client_with_a_wrong_key_sees_the_recorded_error(base_url: str) -> None:
    answer = httpx2.post(f"{base_url}/messages", json=_TEXTS, headers={"X-Proz-API-Key": "wrong"})

    recorded = {
        "success": 0,
        "error": "invalid_api_key",
        "error_description": "Invalid API key.",
        "error_messages": ["Invalid API key."],
    }
    assert (401, recorded) == (answer.status_code, {name: answer.json()[name] for name in recorded})


def _read_sent(status_code: int, answer: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the status and the failed recipients, using only members that such a client knows."""
    assert (201, 1, None) == (status_code, answer["success"], answer["data"])
    meta = answer["meta"]
    assert meta["status_message"]
    return meta["status"], meta.get("failed_recipients", [])


def _read_back(answer: dict[str, Any], type_: str) -> dict[str, str]:
    data = answer["data"]
    assert data["time_created"] > _READ_ONLY["time_created"] < data["time_sent"]
    assert type_ == data["type"]
    return {name: data[name] for name in (*_TEXTS, "type", "status", "status_code")}


def _curl(url: str, fields: dict[str, str], *more: str) -> dict[str, Any]:
    """Send a request as PHP does: with libcurl, and an array of fields as multipart/form-data."""
    forms = [part for name, value in fields.items() for part in ("--form-string", f"{name}={value}")]
    output = subprocess.run(["curl", "--silent", *forms, *more, url], capture_output=True, check=True).stdout
    answer: dict[str, Any] = json.loads(output)
    return answer


def _header(headers: dict[str, str]) -> list[str]:
    return [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
