"""A broker that is full, read-only, frozen or wiped: intake goes on at its usual speed, and the sweep does the work."""

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
from tests.support.process_group import API, DECIDE, SMTP, START_S, ProcessGroup, open_process_group
from tests.support.smtp_server import SmtpServer, open_smtp_server
from tests.support.waiting import wait_until
from worker.embedded.servers import prepare_valkey

pytestmark = pytest.mark.xdist_group("drills")
_BROKER = "valkey"
_POSTS = 10
# One answer takes some 10 ms. A single timeout of the broker's (2 s) would show, a busy machine would not.
_USUAL_S = 2.0
_RECOVERED_S = 30.0


@pytest.fixture(scope="module")
def smtp_server() -> Iterator[SmtpServer]:
    """Give a relay that takes everything."""
    with open_smtp_server() as smtp_server:
        yield smtp_server


@pytest.fixture(scope="module")
def running(base_settings: Settings, smtp_server: SmtpServer) -> Iterator[ProcessGroup]:
    """Give a whole crew beside a broker of its own, for all tests of this file."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        valkey = prepare_valkey(folder / "valkey")
        own = base_settings.model_copy(update={"broker_url": SecretStr(valkey.url)})
        group = stack.enter_context(open_process_group(folder, own, smtp_url=smtp_server.url))
        group.serve(_BROKER, valkey)
        wait_until(lambda: _answers(group), within_s=START_S)
        group.start(API, DECIDE, SMTP)
        yield group


@pytest.fixture
def fixtures(database: Database) -> Fixtures:
    """Give empty records."""
    return Fixtures(database)


@pytest.fixture
def group(running: ProcessGroup, fixtures: Fixtures, base_settings: Settings, smtp_server: SmtpServer) -> ProcessGroup:
    """Give the crew at work, and nothing that was sent before."""
    running.key = key_of(fixtures, base_settings, fixtures.client_id)
    running.await_ready(fixtures.database, API, DECIDE, SMTP)
    smtp_server.mails.clear()
    return running


def broker_of(group: ProcessGroup) -> "redis.Redis":
    """Reach the broker of this crew."""
    return redis.Redis.from_url(f"unix://{group.folder / 'valkey' / 'valkey.sock'}", socket_timeout=2)


def _answers(group: ProcessGroup) -> bool:
    try:
        return bool(broker_of(group).ping())
    except redis.RedisError:
        return False


def fill(group: ProcessGroup, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Let the broker refuse to take anything more, or take it again."""
    broker_of(group).config_set("maxmemory", 1 if is_on else 0)


def make_a_replica(group: ProcessGroup, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Let the broker follow a master that does not exist, and so be read-only, or be its own master again."""
    broker_of(group).replicaof(*(("127.0.0.1", "1") if is_on else ("NO", "ONE")))


def freeze(group: ProcessGroup, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Let the broker take connections and say nothing, or go on."""
    group.send_signal(_BROKER, signal.SIGSTOP if is_on else signal.SIGCONT)


def wipe(group: ProcessGroup, is_on: bool) -> None:  # noqa: FBT001 - a switch
    """Let the broker forget everything; it needs no healing."""
    if is_on:
        broker_of(group).flushall()


@pytest.mark.parametrize("trouble", [fill, make_a_replica, freeze, wipe])
def test_messages_are_taken_as_fast_as_ever_and_delivered_by_the_sweep(
    group: ProcessGroup, fixtures: Fixtures, smtp_server: SmtpServer, trouble: Any
) -> None:
    accounts = [fixtures.account(), fixtures.account(Channel.EMAIL)]
    assert 201 == group.post(*accounts).status_code
    crew_before = group.living
    trouble(group, is_on=True)

    began = monotonic()
    answers = [group.post(*accounts) for _ in range(_POSTS)]
    took_s = monotonic() - began
    wait_until(partial(_all_delivered, fixtures, smtp_server, 1 + _POSTS), within_s=_RECOVERED_S)
    trouble(group, is_on=False)
    answers.append(group.post(*accounts))
    wait_until(partial(_all_delivered, fixtures, smtp_server, 2 + _POSTS), within_s=_RECOVERED_S)

    assert {201} == {each.status_code for each in answers}
    assert took_s < _USUAL_S
    assert crew_before == group.living


def _all_delivered(fixtures: Fixtures, smtp_server: SmtpServer, number: int) -> bool:
    (row,) = fixtures.ask("SELECT count(*) FROM recipient WHERE state = 'delivered'")
    return bool(row[0] == 2 * number and fixtures.count("inbox_letter") == len(smtp_server.mails) == number)
