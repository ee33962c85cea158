"""Without bells or without any broker, the sweep still delivers everything."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from delivery.credentials import generate_credential
from delivery.records.database import Database, transaction
from delivery.records.identities import clients
from delivery.settings import Settings
from delivery.vocabulary import Channel, CredentialKind
from tests.support.fixtures import Fixtures
from tests.support.platform import ROOT, free_port
from tests.support.smtp_server import open_smtp_server
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")
_PROGRAMS = (("-m", "worker", "worker", "decide"), ("-m", "worker", "worker", "smtp"))


@pytest.mark.parametrize(
    "overrides",
    [{"POSTROOM_BELL": "false"}, {"BROKER_URL": "redis://127.0.0.1:1/0"}],
    ids=["the bell is off", "there is no broker"],
)
def test_everything_is_delivered_without_bells_only_later(
    overrides: dict[str, str], database: Database, base_settings: Settings
) -> None:
    fixtures = Fixtures(database)
    accounts = [fixtures.account(), fixtures.account(Channel.EMAIL), fixtures.account(is_closed=True)]
    key = _key(fixtures, base_settings)

    with (
        open_smtp_server() as smtp_server,
        _run_processes(base_settings, smtp_server.url, overrides) as base_url,
    ):
        message = {"recipient_uuids": [str(each) for each in accounts], "sender_name": "A", "subject": "S", "body": "B"}
        sent = httpx2.post(f"{base_url}/messages", json=message, headers={"X-API-Key": key, "Prefer": "wait=0"})
        wait_until(lambda: _reason(base_url, sent, key) == "delivered_in_part", within_s=30)

    assert (201, "in_delivery") == (sent.status_code, sent.json()["meta"]["status_reason"])
    assert 1 == len(smtp_server.mails)


def _reason(base_url: str, sent: httpx2.Response, key: str) -> str:
    answer = httpx2.get(f"{base_url}{sent.headers['location']}", headers={"X-API-Key": key}).json()
    is_settled = all(each["next_attempt_at"] is None for each in answer["data"]["recipients"])
    reason: str = answer["meta"]["status_reason"]
    return reason if is_settled else "on its way"


def _key(fixtures: Fixtures, settings: Settings) -> str:
    credential = generate_credential(CredentialKind.API_KEY, settings.pepper)
    with transaction(fixtures.database) as db:
        clients.add_credentials(db, fixtures.client_id, [credential])
    return credential.text.get_secret_value()


@contextmanager
def _run_processes(settings: Settings, smtp_url: str, overrides: dict[str, str]) -> Iterator[str]:
    """Run an API process and the workers on the servers of the tests, with a grace of one second."""
    environment = {
        **os.environ,  # noqa: TID251 - what children inherit
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "BROKER_URL": settings.broker_url.get_secret_value(),
        "SMTP_URL": smtp_url,
        "POSTROOM_PEPPER": settings.pepper.get_secret_value(),
        "POSTROOM_BELL_GRACE_S": "1",
        **overrides,
    }
    port = free_port()
    with ExitStack() as stack:
        for arguments in (("-m", "api_stub", "--port", str(port)), *_PROGRAMS):
            process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
        base_url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _is_ready(base_url), within_s=30)
        yield base_url


def _is_ready(base_url: str) -> bool:
    try:
        return httpx2.get(f"{base_url}/readyz").status_code == 200
    except httpx2.TransportError:
        return False
