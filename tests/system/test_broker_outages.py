"""With a full, read-only, frozen or wiped broker, messages are accepted as usual and the sweep delivers them."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from delivery.records.database import Database
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tests.support.api_client import key_of
from tests.support.fixtures import Fixtures
from tests.support.platform import short_folder
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup, open_process_group
from tests.support.processes import START_S
from tests.support.smtp_server import SmtpServer, open_smtp_server
from tests.support.waiting import wait_until
from worker.embedded.servers import prepare_valkey

pytestmark = pytest.mark.xdist_group("drills")
_BROKER = "valkey"
_MESSAGES = 10
# One answer takes about 10 ms. One timeout of the broker (2 s) would exceed this; a busy machine does not.
_USUAL_S = 2.0
_RECOVERED_S = 30.0


@pytest.fixture(scope="module")
def smtp_server() -> Iterator[SmtpServer]:
    """Yield a relay that accepts everything."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture(scope="module")
def running_processes(base_settings: Settings, smtp_server: SmtpServer) -> Iterator[ProcessGroup]:
    """Yield the API and all workers, with a broker of their own, for all tests of this file."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        valkey = prepare_valkey(folder / "valkey")
        settings = base_settings.model_copy(update={"broker_url": SecretStr(valkey.url)})
        group = stack.enter_context(open_process_group(folder, settings, smtp_url=smtp_server.url))
        group.serve(_BROKER, valkey)
        wait_until(lambda: _answers(group), within_s=START_S)
        group.start(API, DECIDE, SMTP)
        yield group


@pytest.fixture
def fixtures(database: Database) -> Fixtures:
    """Return fixtures on an empty database."""
    return Fixtures(database)


@pytest.fixture
def group(
    running_processes: ProcessGroup, fixtures: Fixtures, base_settings: Settings, smtp_server: SmtpServer
) -> ProcessGroup:
    """Return the running processes, without the mails of earlier tests."""
    running_processes.key = key_of(fixtures, base_settings, fixtures.client_id)
    running_processes.await_ready(fixtures.database, API, DECIDE, SMTP)
    smtp_server.mails.clear()
    return running_processes


def broker_of(group: ProcessGroup) -> "redis.Redis":
    """Return a client of the broker of these processes."""
    return redis.Redis.from_url(f"unix://{group.folder / 'valkey' / 'valkey.sock'}", socket_timeout=2)


def _answers(group: ProcessGroup) -> bool:
    try:
        return bool(broker_of(group).ping())
    except redis.RedisError:
        return False


def fill(group: ProcessGroup, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Let the broker refuse all writes as if it were full, or end that."""
    broker_of(group).config_set("maxmemory", 1 if is_on else 0)


def make_a_replica(group: ProcessGroup, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Make the broker a read-only replica of a master that does not exist, or a master again."""
    broker_of(group).replicaof(*(("127.0.0.1", "1") if is_on else ("NO", "ONE")))


def freeze(group: ProcessGroup, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Let the broker accept connections and answer nothing, or end that."""
    group.send_signal(_BROKER, signal.SIGSTOP if is_on else signal.SIGCONT)


def wipe(group: ProcessGroup, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Delete all data of the broker; nothing ends that."""
    if is_on:
        broker_of(group).flushall()


@pytest.mark.parametrize("disrupt", [fill, make_a_replica, freeze, wipe])
def test_messages_are_accepted_at_the_usual_speed_and_delivered_by_the_sweep(
    group: ProcessGroup, fixtures: Fixtures, smtp_server: SmtpServer, disrupt: Any
) -> None:
    accounts = [fixtures.account(), fixtures.account(Channel.EMAIL)]
    assert 201 == group.post(*accounts).status_code
    processes_before = group.living
    disrupt(group, is_on=True)

    started_at = monotonic()
    answers = [group.post(*accounts) for _ in range(_MESSAGES)]
    took_s = monotonic() - started_at
    wait_until(partial(_all_delivered, fixtures, smtp_server, 1 + _MESSAGES), within_s=_RECOVERED_S)
    disrupt(group, is_on=False)
    answers.append(group.post(*accounts))
    wait_until(partial(_all_delivered, fixtures, smtp_server, 2 + _MESSAGES), within_s=_RECOVERED_S)

    assert {201} == {each.status_code for each in answers}
    assert took_s < _USUAL_S
    assert processes_before == group.living


def _all_delivered(fixtures: Fixtures, smtp_server: SmtpServer, number: int) -> bool:
    (row,) = fixtures.run_sql("SELECT count(*) FROM recipient WHERE state = 'delivered'")
    return bool(row[0] == 2 * number and fixtures.count("inbox_letter") == len(smtp_server.mails) == number)
