"""Clocks of working processes jump by hours and days, one process after the other, and every message is delivered.

Not tested here, because they depend on the wall clock: tokens of a foreign issuer and the year of an unsubscribe link.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from delivery.credentials import generate_credential
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.settings import Settings
from delivery.vocabulary import Channel, CredentialKind, Reason
from tests.support.api_client import key_of
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup, failed_checks, open_process_group
from tests.support.processes import ROOT
from tests.support.smtp_server import SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("drills")
_CLOCK_PATCH = ROOT / "tests" / "programs" / "clock"
_HOUR_S, _DAYS_S = 3600, 3 * 86400
# Forward and back, by small and large steps.
_JUMPS = (_HOUR_S, -_HOUR_S, _DAYS_S, -_DAYS_S, 0)
_SETTLED_S = 20.0


@pytest.fixture
def group(
    fixtures: Fixtures, base_settings: Settings, tmp_path: Path, smtp_server: SmtpServer
) -> Iterator[ProcessGroup]:
    """Yield the API and all workers, each with a clock of its own that `set_clock` sets."""
    with open_process_group(tmp_path, base_settings, smtp_url=smtp_server.url) as group:
        group.key = key_of(fixtures, base_settings, fixtures.client_id)
        for name in (API, DECIDE, SMTP):
            set_clock(group, name, 0)
            group.start(name, PYTHONPATH=f"{_CLOCK_PATCH}:{ROOT}", CLOCK_FILE=str(tmp_path / f"{name}.clock"))
        group.await_ready(fixtures.database)
        yield group


def set_clock(group: ProcessGroup, name: str, shift_s: int) -> None:
    """Shift the clock of a process by this many seconds from the true time."""
    new_file = group.folder / f"{name}.new"
    new_file.write_text(str(shift_s))
    new_file.replace(group.folder / f"{name}.clock")


def test_with_a_wrong_clock_in_any_process_every_message_is_delivered_once_and_soon(
    group: ProcessGroup, fixtures: Fixtures, smtp_server: SmtpServer, base_settings: Settings
) -> None:
    accounts = [fixtures.account(), fixtures.account(Channel.EMAIL), _account_in_quiet_hours(fixtures)]
    token = _token(group, fixtures, base_settings)
    before = group.living

    sent = []
    for name in (API, DECIDE, SMTP):
        for shift_s in _JUMPS:
            set_clock(group, name, shift_s)
            answer = group.post(*accounts, headers=token)
            assert 201 == answer.status_code
            sent.append(answer)
            wait_until(partial(_is_delivered_in_part, group, answer), within_s=_SETTLED_S)

    assert before == group.living
    assert len(sent) == fixtures.count("inbox_letter") == len(smtp_server.mails)
    # Quiet hours follow the database's clock, whatever the clocks of the processes say.
    assert {(Reason.QUIET_HOURS, len(sent))} == {
        (Reason(row[0]), row[1])
        for row in fixtures.run_sql("SELECT reason, count(*) FROM recipient WHERE state <> 'delivered' GROUP BY reason")
    }
    assert [] == fixtures.run_sql("SELECT id FROM recipient WHERE possibly_duplicated OR attempt > 1")
    assert [] == fixtures.run_sql(
        "SELECT id FROM message WHERE created_at > clock_timestamp() OR sent_at > clock_timestamp()"
    )
    assert [] == failed_checks(base_settings, fixtures.database)


def _account_in_quiet_hours(fixtures: Fixtures) -> UUID:
    """Create an account whose quiet hours are now, and would not be an hour or two from now."""
    now = datetime.now(UTC)
    quiet = [(now + timedelta(minutes=minutes)).time().replace(second=0, microsecond=0) for minutes in (-30, 30)]
    return fixtures.account(quiet_hours=(quiet[0], quiet[1]))


def _token(group: ProcessGroup, fixtures: Fixtures, settings: Settings) -> dict[str, str]:
    secret = generate_credential(CredentialKind.CLIENT_SECRET, settings.pepper)
    with transaction(fixtures.database) as db:
        clients.add_credentials(db, fixtures.client_id, [secret])
    form = {
        "grant_type": "client_credentials",
        "client_id": str(fixtures.client_id),
        "client_secret": secret.text.get_secret_value(),
    }
    answer = httpx2.post(f"{group.url}/oauth/token", data=form, timeout=20)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _is_delivered_in_part(group: ProcessGroup, answer: httpx2.Response) -> bool:
    read = httpx2.get(f"{group.url}{answer.headers['location']}", headers=group.key, timeout=20).json()
    return [["delivered"] * 2, 1] == [
        [each["state"] for each in read["data"]["recipients"][:2]],
        sum(each["reason"] == Reason.QUIET_HOURS for each in read["data"]["recipients"]),
    ]
