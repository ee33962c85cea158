"""Limits of real mail servers: few connections, few mails over each, and a wrong password cost no mail an attempt."""

from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from delivery.settings import Settings
from delivery.vocabulary import Channel, State
from tests.peers.mail_servers import open_exim, open_postfix
from tests.support.api_client import key_of
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup, failed_checks, open_process_group
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("mail_servers"), pytest.mark.timeout(300)]
_ARRIVED_S = 120.0
_CROWD, _CONNECTIONS = 200, 3


def outcomes(fixtures: Fixtures) -> dict[tuple[str, int], int]:
    """Count the recipients by state and number of attempts."""
    rows = fixtures.run_sql("SELECT state, attempt, count(*) AS number FROM recipient GROUP BY state, attempt")
    return {(row.state, row.attempt): row.number for row in rows}


def test_a_postfix_that_admits_three_connections_takes_every_mail_at_its_first_attempt(
    group: ProcessGroup, fixtures: Fixtures, base_settings: Settings, open_folder: Path
) -> None:
    limit = f"smtpd_client_connection_count_limit = {_CONNECTIONS}\nsmtpd_client_event_limit_exceptions =\n"
    group.key = key_of(fixtures, base_settings, fixtures.client_id)
    group.start(API, DECIDE)
    group.await_ready(fixtures.database)
    for account in fixtures.accounts(_CROWD, Channel.EMAIL):
        assert 201 == group.post(account).status_code
    with open_postfix(open_folder / "crowded", limit) as server:
        group.start(SMTP, SMTP_URL=server.url("plain"), POSTROOM_SMTP_CONCURRENCY="32")
        wait_until(lambda: outcomes(fixtures) == {(State.DELIVERED, 1): _CROWD}, within_s=_ARRIVED_S)
        wait_until(lambda: len(server.mails()) == _CROWD, within_s=_ARRIVED_S)
        log = (open_folder / "crowded/var/log/postfix.log").read_text(encoding="utf-8")

    assert "Connection concurrency limit exceeded" in log


@pytest.mark.parametrize(("mails_per_connection", "waiting"), [(100, 30), (10, 0)])
def test_exim_leaves_in_its_queue_what_comes_after_its_limit_unless_our_setting_is_lower(  # noqa: PLR0917 - pytest hands them in by name
    mails_per_connection: int,
    waiting: int,
    fixtures: Fixtures,
    base_settings: Settings,
    open_folder: Path,
    tmp_path: Path,
) -> None:
    # One connection at a time, so that all go over one unless the setting ends it.
    chosen = {"smtp_concurrency": 1, "smtp_mails_per_connection": mails_per_connection}
    folder = open_folder / f"exim-{mails_per_connection}"
    with open_exim(folder) as server:
        relay = SecretStr(server.url("plain"))
        with open_process_group(tmp_path, base_settings, smtp_url=relay, **chosen) as group:
            group.key = key_of(fixtures, base_settings, fixtures.client_id)
            group.start(API, DECIDE, SMTP)
            group.await_ready(fixtures.database)
            for account in fixtures.accounts(40, Channel.EMAIL):
                assert 201 == group.post(account).status_code
            wait_until(lambda: outcomes(fixtures) == {(State.DELIVERED, 1): 40}, within_s=_ARRIVED_S)
            wait_until(lambda: len(server.mails()) == 40 - waiting, within_s=_ARRIVED_S)
        queued = (folder / "logs/mainlog").read_text(encoding="utf-8").count("no immediate delivery")

    assert waiting == queued


def test_a_wrong_password_costs_no_attempt_and_the_mails_go_out_once_it_is_right(
    group: ProcessGroup, fixtures: Fixtures, base_settings: Settings, open_folder: Path, tmp_path: Path
) -> None:
    accounts: list[UUID] = fixtures.accounts(5, Channel.EMAIL)
    group.key = key_of(fixtures, base_settings, fixtures.client_id)
    group.start(API, DECIDE)
    group.await_ready(fixtures.database)
    for account in accounts:
        assert 201 == group.post(account).status_code
    with open_postfix(open_folder / "password") as server:
        trusted = str(server.certificate.path)
        right = server.url("submission")
        wrong = right.replace("%40", "%41")
        group.start(SMTP, SMTP_URL=wrong, POSTROOM_SMTP_CA_FILE=trusted)
        log = tmp_path / "smtp.log"
        wait_until(lambda: "relay_refused_us" in log.read_text(encoding="utf-8"), within_s=_ARRIVED_S)
        wait_until(lambda: failed_checks(base_settings, fixtures.database), within_s=_ARRIVED_S)
        during = {attempt for _, attempt in outcomes(fixtures)}
        group.stop(SMTP)
        group.start(SMTP, SMTP_URL=right, POSTROOM_SMTP_CA_FILE=trusted)
        wait_until(lambda: outcomes(fixtures) == {(State.DELIVERED, 1): 5}, within_s=_ARRIVED_S)

    assert {0} == during
    assert "535" in log.read_text(encoding="utf-8")
