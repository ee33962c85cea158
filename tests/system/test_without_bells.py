"""Without bells or without any broker, the sweep still delivers everything."""

from pathlib import Path
from typing import Any

import pytest

from delivery.records.database import Database
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tests.support.api_client import key_of
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, DECIDE, SMTP, open_process_group
from tests.support.smtp_server import SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")
_OPEN = "SELECT id FROM recipient WHERE state NOT IN ('delivered', 'blocked')"


@pytest.mark.parametrize(
    "overrides",
    [{"bell": False}, {"broker_url": "redis://127.0.0.1:1/0"}],
    ids=["the bell is off", "there is no broker"],
)
def test_everything_is_delivered_without_bells_only_later(
    overrides: dict[str, Any], database: Database, base_settings: Settings, smtp_server: SmtpServer, tmp_path: Path
) -> None:
    fixtures = Fixtures(database)
    accounts = [fixtures.account(), fixtures.account(Channel.EMAIL), fixtures.account(is_closed=True)]

    with open_process_group(tmp_path, base_settings, smtp_url=smtp_server.url, **overrides) as group:
        group.key = key_of(fixtures, base_settings, fixtures.client_id)
        group.start(API, DECIDE, SMTP)
        group.await_ready(database, API)
        sent = group.post(*accounts, prefer="wait=0")
        wait_until(lambda: not fixtures.run_sql(_OPEN), within_s=30)
        reason = group.status_of(sent)
        exit_codes = [group.stop(name) for name in (SMTP, DECIDE)]

    assert [0, 0] == exit_codes  # Without a broker, too, SIGTERM ends a worker in order and in time.
    assert "delivered_in_part" == reason
    assert (201, "in_delivery") == (sent.status_code, sent.json()["meta"]["status_reason"])
    assert 1 == len(smtp_server.mails)
