"""Bells and direct sends go through a real Redis 7: with a password, rights and TLS, and after a replica takes over."""

import signal
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from delivery.settings import Settings
from tasks.broker.broker_memory import read_memory
from tasks.broker.direct_queue import LISTS
from tasks.check_results import Severity
from tasks.health_checks import broker_keeps_all
from tests.peers.brokers import open_moving_address, open_redis, url_of, url_without_user
from tests.support.api_client import key_of
from tests.support.certificates import make_certificate
from tests.support.direct_sends import credential, envelope, fields
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, DECIDE, open_process_group
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("brokers"), pytest.mark.timeout(300)]
_AN_HOUR_S = 3600
_ARRIVED_S = 30.0


def test_bells_and_direct_sends_go_through_redis_with_password_rights_and_tls(
    fixtures: Fixtures, base_settings: Settings, open_folder: Path, tmp_path: Path
) -> None:
    account = fixtures.account()
    certificate = make_certificate(tmp_path)
    with open_redis(open_folder / "redis", certificate=certificate) as server:
        url = url_of(server.port, certificate=certificate)
        # For an hour the sweep takes nothing, so what is delivered was delivered by a bell.
        with open_process_group(tmp_path, base_settings, broker_url=SecretStr(url), bell_grace_s=_AN_HOUR_S) as group:
            group.key = key_of(fixtures, base_settings, fixtures.client_id)
            group.start(API, DECIDE)
            group.await_ready(fixtures.database)

            answer = group.post(account)
            with redis.Redis.from_url(url) as client:
                client.lpush(LISTS[0], envelope(fields(account, token=credential(fixtures, base_settings.pepper))))
            wait_until(lambda: len(fixtures.inbox(account)) == 2, within_s=_ARRIVED_S)

    assert 201 == answer.status_code


@pytest.mark.parametrize(("policy", "severity"), [("noeviction", Severity.OK), ("allkeys-lru", Severity.WARNING)])
def test_a_redis_that_may_drop_what_waits_is_a_warning_of_the_doctor(
    policy: str, severity: Severity, base_settings: Settings, open_folder: Path
) -> None:
    with open_redis(open_folder / policy, policy=policy) as server:
        # The user of Postroom may not run INFO here; who may is told.
        url = SecretStr(url_without_user(server.port))
        result = broker_keeps_all(read_memory(base_settings.model_copy(update={"broker_url": url})))
        unknown = read_memory(base_settings.model_copy(update={"broker_url": SecretStr(url_of(server.port))}))

    assert (severity, None) == (result.severity, unknown)


def test_nothing_is_lost_when_a_replica_of_redis_takes_over_behind_one_address(
    fixtures: Fixtures, base_settings: Settings, open_folder: Path, tmp_path: Path
) -> None:
    account = fixtures.account()
    token = credential(fixtures, base_settings.pepper)
    with (
        open_redis(open_folder / "primary") as primary,
        open_redis(open_folder / "replica", primary=primary) as replica,
        open_moving_address(open_folder / "haproxy", (primary, replica)) as port,
        open_process_group(tmp_path, base_settings, broker_url=SecretStr(url_of(port))) as group,
        redis.Redis.from_url(url_of(port)) as client,
    ):
        group.key = key_of(fixtures, base_settings, fixtures.client_id)
        group.start(API, DECIDE)
        group.await_ready(fixtures.database)
        wait_until(replica.is_synchronised)
        codes = [group.post(account).status_code for _ in range(10)]

        primary.process.send_signal(signal.SIGKILL)
        codes += [group.post(account).status_code for _ in range(10)]
        replica.promote()
        codes += [group.post(account).status_code for _ in range(10)]
        wait_until(lambda: _is_pushed(client, envelope(fields(account, token=token))), within_s=_ARRIVED_S)
        wait_until(lambda: len(fixtures.inbox(account)) == 31, within_s=_ARRIVED_S)

    assert [201] * 30 == codes


def _is_pushed(client: redis.Redis, element: bytes | str) -> bool:
    """Push once; while the address leads nowhere, nothing was pushed."""
    try:
        client.ping()
        return bool(client.lpush(LISTS[0], element))
    except redis.ConnectionError:
        return False
