"""A platform of the version `engine-1` is upgraded to this one while clients send, with data of every kind in it."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import text

from delivery.records.database import Database, open_database, transaction
from delivery.settings import Settings
from delivery.vocabulary import QueueName, Scope
from tasks.broker.direct_queue import LISTS
from tests.support.direct_sends import envelope, fields
from tests.support.old_version import unpack
from tests.support.platform import short_folder
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup, failed_checks, open_process_group
from tests.support.processes import ROOT, run_to_end
from tests.support.seed import environment_of
from tests.support.servers import Servers
from tests.support.smtp_server import SmtpServer
from tests.support.steady_sender import SteadySender
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("drills"), pytest.mark.timeout(240)]
# docs/performance.md names it.
_ENGINE_1 = "e06f6039f561ad4520968c2da8ef7a2ad5869233"
_PHRASE = "wire transfer"
_SETTLED_S = 90.0
_DRAINED_S = 60.0
_MORE_MESSAGES = 6
_WAITING = 4
_INBOXES, _MAILBOXES = 2, 2
_ACCOUNTS = [uuid4() for _ in range(_INBOXES + _MAILBOXES)]


@dataclass(frozen=True, slots=True)
class OldPlatform:
    """A platform of the old version: its database and broker, and where the code of both versions is."""

    settings: Settings
    database: Database
    broker: Redis
    code: Path
    folder: Path

    def run(self, *arguments: str, place: Path) -> str:
        """Run a command of the version at `place`, and return what it printed."""
        environment = {**environment_of(self.settings.model_dump(include=self.settings.model_fields_set))}
        command = (sys.executable, "-m", "worker", *arguments)
        ended = run_to_end(command, cwd=place, environment={**environment, "PYTHONPATH": str(place)}, timeout_s=60)
        assert 0 == ended.returncode, ended.stderr
        return ended.stdout

    def ask(self, query: str, **values: object) -> list[tuple[object, ...]]:
        """Run a query or a change in the database."""
        with transaction(self.database) as db:
            result = db.execute(text(query), values)
            return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture
def platform_of_old(
    base_settings: Settings, servers: Servers, broker: Redis, smtp_server: SmtpServer, worker_number: int
) -> Iterator[OldPlatform]:
    """Yield a platform that the old version has migrated."""
    url = servers.create_database(f"upgrade_{worker_number}", template=None)
    chosen = {"database_url": SecretStr(url), "smtp_url": SecretStr(smtp_server.url), "hold_phrases": _PHRASE}
    settings = base_settings.model_copy(update=chosen)
    database = open_database(settings, connections=2)
    with short_folder() as folder:
        code = folder / "old"
        code.mkdir()
        unpack(_ENGINE_1, code)
        old = OldPlatform(settings, database, broker, code, folder)
        old.run("migrate", place=code)
        yield old
    database.dispose()


def test_a_platform_of_engine_1_is_upgraded_while_clients_send(
    platform_of_old: OldPlatform, smtp_server: SmtpServer
) -> None:
    platform = platform_of_old
    key = _populate(platform)
    with _both_versions(platform) as (old, new):
        old.key = new.key = {"X-API-Key": key}
        old.start(API, DECIDE, SMTP, place=platform.code)
        old.await_ready(platform.database)
        token = _token_of(old, platform)
        left = _leave_something_of_everything(platform, old, smtp_server, token)

        platform.run("migrate", place=ROOT)
        old.start(DECIDE, SMTP, place=platform.code, suffix="-again")
        new.start(API, DECIDE, SMTP)
        new.await_ready(platform.database)
        sender = SteadySender([old, new], platform.broker, _ACCOUNTS, token)
        with sender.at_work():
            sender.await_more(_MORE_MESSAGES)
            codes = []
            for name in (f"{SMTP}-again", f"{DECIDE}-again", API):
                codes.append(old.stop(name, within_s=_DRAINED_S))
                sender.await_more(_MORE_MESSAGES)
        platform.run("vetting", "approve", left.case, place=ROOT)
        platform.ask("UPDATE recipient SET due_at = now() WHERE state = 'retrying'")
        # The keyed, the held, the retried, what waited, and what was sent meanwhile.
        messages = 3 + 2 * _WAITING + sender.sent
        wait_until(partial(_is_settled, platform, messages), within_s=_SETTLED_S)
        again = new.post(_ACCOUNTS[0], headers={"Idempotency-Key": "before-the-upgrade"})
        read = [httpx2.get(f"{new.url}{each}", headers=new.key, timeout=20) for each in left.locations]
        faults = failed_checks(platform.settings, platform.database)

    assert [0, 0] == codes[:2]
    assert (201, left.keyed) == (again.status_code, again.json()["meta"]["message_uuid"])
    assert [(200, "sent")] * len(read) == [(each.status_code, each.json()["meta"]["status"]) for each in read]
    mails = 1 + 2 * (2 * _WAITING + sender.sent)
    assert (messages, mails) == (platform.ask("SELECT count(*) FROM message")[0][0], len(smtp_server.mails))
    assert [] == platform.ask("SELECT id FROM recipient WHERE state <> 'delivered' OR possibly_duplicated")
    assert [] == faults


@contextmanager
def _both_versions(platform: OldPlatform) -> Iterator[tuple[ProcessGroup, ProcessGroup]]:
    folders = [platform.folder / name for name in ("old-processes", "new-processes")]
    for each in folders:
        each.mkdir()
    with (
        open_process_group(folders[0], platform.settings) as old,
        open_process_group(folders[1], platform.settings) as new,
    ):
        yield old, new


def _populate(platform: OldPlatform) -> str:
    """Create accounts and a client with the commands of the old version, and return its key."""
    rows = [
        f"{each},Ada,{each.hex}@example.com,{'inbox' if n < _INBOXES else 'email'}" for n, each in enumerate(_ACCOUNTS)
    ]
    file = platform.folder / "accounts.csv"
    file.write_text("\n".join(["uuid,name,email,channel", *rows]), encoding="utf-8")
    platform.run("accounts", "import", str(file), place=platform.code)
    scopes = (argument for scope in (Scope.MESSAGE_SEND, Scope.MESSAGE_READ) for argument in ("--scope", scope))
    printed = platform.run("clients", "create", "a client of old", *scopes, place=platform.code)
    found = re.search(r"API key\s+(\S+)", printed)
    assert found, printed
    return found[1]


def _token_of(old: ProcessGroup, platform: OldPlatform) -> str:
    """Get an access token from the API of the old version."""
    client_id = str(platform.ask("SELECT id FROM client")[0][0])
    printed = platform.run("clients", "add-key", client_id, "--kind", "client_secret", place=platform.code)
    secret = printed.split("client secret", 1)[1].split()[0]
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return str(httpx2.post(f"{old.url}/oauth/token", data=form, timeout=20).json()["access_token"])


@dataclass(frozen=True, slots=True)
class Remains:
    """What the old version has left: the id of the keyed message, the open case, and where each message is read."""

    keyed: str
    case: str
    locations: list[str]


def _leave_something_of_everything(
    platform: OldPlatform, old: ProcessGroup, smtp_server: SmtpServer, token: str
) -> Remains:
    """Leave a delivered keyed message, a held one, a retrying one, and open ones with their bells and direct sends."""
    keyed = old.post(_ACCOUNTS[0], headers={"Idempotency-Key": "before-the-upgrade"})
    held = old.post(_ACCOUNTS[1], body=f"Please send a {_PHRASE}.")
    smtp_server.next("RCPT", "451 Later")
    retried = old.post(_ACCOUNTS[-1])
    wait_until(lambda: {"delivered", "held", "retrying"} == _states(platform), within_s=_SETTLED_S)
    for name in (SMTP, DECIDE):
        old.stop(name, within_s=_DRAINED_S)
    opened = [old.post(*_ACCOUNTS) for _ in range(_WAITING)]
    for _ in range(_WAITING):
        platform.broker.lpush(LISTS[0], envelope(fields(*_ACCOUNTS, token=token)))
    wait_until(lambda: platform.broker.llen(QueueName.DECIDE), within_s=_SETTLED_S)
    case = str(platform.ask("SELECT id FROM vetting_case")[0][0])
    answers = [keyed, held, retried, *opened]
    assert [201] * len(answers) == [each.status_code for each in answers]
    return Remains(keyed.json()["meta"]["message_uuid"], case, [each.headers["location"] for each in answers])


def _states(platform: OldPlatform) -> set[object]:
    return {row[0] for row in platform.ask("SELECT state FROM recipient")}


def _is_settled(platform: OldPlatform, messages: int) -> bool:
    return {"delivered"} == _states(platform) and platform.ask("SELECT count(*) FROM message") == [(messages,)]
