"""Rolling from one version to the next: doors and workers of both side by side, on the schema of the next one."""

import subprocess
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email import message_from_bytes
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from redis import Redis

from delivery.settings import Settings
from delivery.vocabulary import Channel
from tasks.broker.direct_queue import LISTS
from tests.support.api_client import key_of
from tests.support.direct_sends import credential, envelope, fields
from tests.support.fixtures import Fixtures
from tests.support.platform import ROOT, short_folder
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup, failed_checks, open_process_group
from tests.support.smtp_server import SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("drills")
# The last version before migration 0003.
_FORMER = "8d9422b18de11b9f828d614d81a824fbc96cabce"
_AN_HOUR_S = 3600
_SETTLED_S = 90.0
_DRAINED_S = 60.0
# More than one bell carries, so that one message is several bells.
_MAILS = 20
_PAUSE_S = 0.05
_STRETCH = 10


@pytest.fixture(scope="module")
def former() -> Iterator[Path]:
    """Give the code of the former version."""
    with short_folder() as folder:
        _unpack(_FORMER, folder)
        yield folder


@pytest.mark.parametrize("decider", ["former", "present"])
def test_the_bells_of_either_version_are_heard_by_the_other(  # noqa: PLR0917 - pytest hands them in by name
    former: Path, fixtures: Fixtures, smtp_server: SmtpServer, base_settings: Settings, tmp_path: Path, decider: str
) -> None:
    place, other = (former, ROOT) if decider == "former" else (ROOT, former)
    accounts = [*fixtures.accounts(1), *fixtures.accounts(_MAILS, Channel.EMAIL)]
    # Before an hour has passed the sweep takes nothing: whatever moves was rung for.
    with open_process_group(tmp_path, base_settings, smtp_url=smtp_server.url, bell_grace_s=_AN_HOUR_S) as group:
        group.key = key_of(fixtures, base_settings, fixtures.client_id)
        group.start(DECIDE, place=place)
        group.start(API, SMTP, place=other)
        group.await_ready(fixtures.database)

        assert 201 == group.post(*accounts).status_code
        wait_until(partial(_is_settled, fixtures), within_s=_SETTLED_S)

    assert (1, _MAILS) == (fixtures.count("inbox_letter"), len(smtp_server.mails))
    # A worker of the former version has no key.
    (row,) = fixtures.ask("SELECT lock_key IS NULL FROM worker WHERE 'decide' = ANY(queues)")
    assert (decider == "former") == row[0]


def test_nothing_is_lost_or_doubled_while_one_version_takes_over_from_the_other(  # noqa: PLR0917 - as above
    former: Path, fixtures: Fixtures, smtp_server: SmtpServer, base_settings: Settings, broker: Redis, tmp_path: Path
) -> None:
    accounts = [*fixtures.accounts(2), *fixtures.accounts(4, Channel.EMAIL)]
    chosen = {"smtp_url": smtp_server.url}
    with (
        open_process_group(_made(tmp_path / "old"), base_settings, **chosen) as old,
        open_process_group(_made(tmp_path / "new"), base_settings, **chosen) as new,
    ):
        old.key = new.key = key_of(fixtures, base_settings, fixtures.client_id)
        old.start(API, DECIDE, SMTP, place=former)
        new.start(API, DECIDE, SMTP)
        for each in (old, new):
            each.await_ready(fixtures.database)
        sender = SteadySender([old, new], broker, accounts, credential(fixtures, base_settings.pepper))
        with sender.at_work():
            codes = [_end_after_a_stretch(old, name, sender) for name in (SMTP, DECIDE, API)]
            sender.await_more(_STRETCH)
        wait_until(partial(_is_settled, fixtures, sender.sent), within_s=_SETTLED_S)
        found = failed_checks(base_settings, fixtures.database)

    assert [0, 0] == codes[:2]
    assert all(sender.taken_by[door] for door in (old, new))
    assert (2 * sender.sent, 4 * sender.sent) == (fixtures.count("inbox_letter"), len(smtp_server.mails))
    assert 4 * sender.sent == len({message_from_bytes(each.wire)["Message-ID"] for each in smtp_server.mails})
    assert [] == fixtures.ask("SELECT id FROM recipient WHERE possibly_duplicated OR attempt > 1 OR reason IS NOT NULL")
    assert [] == found


class SteadySender:
    """Somebody who sends to the doors of both versions by turns, and by the letterbox."""

    def __init__(self, doors: list[ProcessGroup], broker: Redis, accounts: list[UUID], token: str) -> None:
        self._doors = doors
        self._broker = broker
        self._accounts = accounts
        self._token = token
        self._is_done = threading.Event()
        self.sent = 0
        self.taken_by: Counter[ProcessGroup] = Counter()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Send and send until the block ends. Raises what went wrong with it."""
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(self._send_all)
            try:
                yield
            finally:
                self._is_done.set()
            sending.result()

    def await_more(self, number: int) -> None:
        """Wait until so many more are taken in."""
        goal = self.sent + number
        wait_until(lambda: self.sent >= goal, within_s=_SETTLED_S)

    def _send_all(self) -> None:
        for number in count():
            if self._is_done.wait(_PAUSE_S):
                return
            self._broker.lpush(LISTS[0], envelope(fields(*self._accounts, token=self._token)))
            self._send(f"order-{number}", self._doors[number % len(self._doors)])
            self.sent += 2

    def _send(self, key: str, door: ProcessGroup) -> None:
        """Send to this door, and where it does not take it the same, with the same key, to the last one."""
        if not _is_taken(door, self._accounts, key):
            door = self._doors[-1]
            wait_until(lambda: _is_taken(door, self._accounts, key), within_s=_SETTLED_S)
        self.taken_by[door] += 1


def _is_taken(door: ProcessGroup, accounts: list[UUID], key: str) -> bool:
    try:
        answer = door.post(*accounts, headers={"Idempotency-Key": key})
    except httpx2.TransportError:  # It is closed, or was just closing.
        return False
    assert answer.status_code in {201, 503}, answer.text
    return answer.status_code == 201


def _end_after_a_stretch(group: ProcessGroup, name: str, sender: SteadySender) -> int:
    sender.await_more(_STRETCH)
    return group.stop(name, within_s=_DRAINED_S)


def _is_settled(fixtures: Fixtures, messages: int = 1) -> bool:
    (row,) = fixtures.ask("SELECT count(*) FILTER (WHERE state <> 'delivered') FROM recipient")
    return row[0] == 0 and fixtures.count("message") == messages


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _unpack(commit: str, folder: Path) -> None:
    """Lay out the code of a commit. A copy without its history skips, in CI too: a shallow clone has none."""
    try:
        command = ["git", "-C", str(ROOT), "archive", "--format=zip", commit]
        archive = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"The former version is the commit {commit}, which is not here. Clone with the whole history.")
    with zipfile.ZipFile(BytesIO(archive)) as packed:
        packed.extractall(folder)
