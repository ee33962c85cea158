"""During a rolling update the APIs and workers of two versions run side by side, on the schema of the new one."""

from collections.abc import Iterator
from email import message_from_bytes
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from delivery.settings import Settings
from delivery.vocabulary import Channel
from tests.support.api_client import key_of
from tests.support.direct_sends import credential
from tests.support.fixtures import Fixtures
from tests.support.old_version import unpack
from tests.support.platform import short_folder
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup, failed_checks, open_process_group
from tests.support.processes import ROOT
from tests.support.smtp_server import SmtpServer
from tests.support.steady_sender import SteadySender
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("drills")
# The last version before migration 0003.
_OLD_VERSION = "8d9422b18de11b9f828d614d81a824fbc96cabce"
_AN_HOUR_S = 3600
_SETTLED_S = 90.0
_DRAINED_S = 60.0
# More than one bell carries, so that one message is several bells.
_MAILS = 20
_MORE_MESSAGES = 10


@pytest.fixture(scope="module")
def old_code() -> Iterator[Path]:
    """Yield a folder with the code of the old version."""
    with short_folder() as folder:
        unpack(_OLD_VERSION, folder)
        yield folder


@pytest.mark.parametrize("decider", ["old", "new"])
def test_each_version_reads_the_bells_of_the_other(  # noqa: PLR0917 - pytest hands them in by name
    old_code: Path, fixtures: Fixtures, smtp_server: SmtpServer, base_settings: Settings, tmp_path: Path, decider: str
) -> None:
    code, other_code = (old_code, ROOT) if decider == "old" else (ROOT, old_code)
    accounts = [*fixtures.accounts(1), *fixtures.accounts(_MAILS, Channel.EMAIL)]
    # For an hour the sweep takes nothing, so every change comes from a bell.
    with open_process_group(tmp_path, base_settings, smtp_url=smtp_server.url, bell_grace_s=_AN_HOUR_S) as group:
        group.key = key_of(fixtures, base_settings, fixtures.client_id)
        group.start(DECIDE, place=code)
        group.start(API, SMTP, place=other_code)
        group.await_ready(fixtures.database)

        assert 201 == group.post(*accounts).status_code
        wait_until(partial(_is_settled, fixtures), within_s=_SETTLED_S)

    assert (1, _MAILS) == (fixtures.count("inbox_letter"), len(smtp_server.mails))
    # A worker of the old version has no lock key.
    (row,) = fixtures.run_sql("SELECT lock_key IS NULL FROM worker WHERE 'decide' = ANY(queues)")
    assert (decider == "old") == row[0]


def test_nothing_is_lost_or_sent_twice_while_one_version_replaces_the_other(  # noqa: PLR0917 - as above
    old_code: Path, fixtures: Fixtures, smtp_server: SmtpServer, base_settings: Settings, broker: Redis, tmp_path: Path
) -> None:
    accounts = [*fixtures.accounts(2), *fixtures.accounts(4, Channel.EMAIL)]
    chosen = {"smtp_url": smtp_server.url}
    with (
        open_process_group(_make_folder(tmp_path / "old"), base_settings, **chosen) as old,
        open_process_group(_make_folder(tmp_path / "new"), base_settings, **chosen) as new,
    ):
        old.key = new.key = key_of(fixtures, base_settings, fixtures.client_id)
        old.start(API, DECIDE, SMTP, place=old_code)
        new.start(API, DECIDE, SMTP)
        for each in (old, new):
            each.await_ready(fixtures.database)
        sender = SteadySender([old, new], broker, accounts, credential(fixtures, base_settings.pepper))
        with sender.at_work():
            codes = [_stop_after_more_messages(old, name, sender) for name in (SMTP, DECIDE, API)]
            sender.await_more(_MORE_MESSAGES)
        wait_until(partial(_is_settled, fixtures, sender.sent), within_s=_SETTLED_S)
        faults = failed_checks(base_settings, fixtures.database)

    assert [0, 0] == codes[:2]
    assert all(sender.accepted_by[api] for api in (old, new))
    assert (2 * sender.sent, 4 * sender.sent) == (fixtures.count("inbox_letter"), len(smtp_server.mails))
    assert 4 * sender.sent == len({message_from_bytes(each.wire)["Message-ID"] for each in smtp_server.mails})
    assert [] == fixtures.run_sql(
        "SELECT id FROM recipient WHERE possibly_duplicated OR attempt > 1 OR reason IS NOT NULL"
    )
    assert [] == faults


def _stop_after_more_messages(group: ProcessGroup, name: str, sender: SteadySender) -> int:
    sender.await_more(_MORE_MESSAGES)
    return group.stop(name, within_s=_DRAINED_S)


def _is_settled(fixtures: Fixtures, messages: int = 1) -> bool:
    (row,) = fixtures.run_sql("SELECT count(*) FILTER (WHERE state <> 'delivered') FROM recipient")
    return row[0] == 0 and fixtures.count("message") == messages


def _make_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder
