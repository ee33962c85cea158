"""Each user of the broker can do its work there and no more, tried at a real broker with the list that we write."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis
from redis.exceptions import NoPermissionError

from api_stub.ratelimit.redis_counter import RedisSlidingWindow
from delivery.rules.rate_windows import RateLimit
from delivery.settings import Settings
from delivery.vocabulary import QueueName, StepName
from tasks.broker.access import BrokerUser, access_list
from tasks.broker.broker_memory import read_memory
from tasks.broker.direct_queue import LISTS, DirectSendQueue
from tasks.broker.doorbell import BrokerDoorbell
from tasks.broker.queue_depth import read_queues
from tasks.broker.unread_lists import find_unread_lists
from tests.support import build
from tests.support.platform import short_folder
from tests.support.processes import ROOT, run_to_end
from tests.support.servers import serving
from tests.support.waiting import wait_until
from worker.embedded.servers import Server, broker_as, prepare_valkey

_PASSWORDS = {user: f"the-password-of-{user}-with-many-characters" for user in BrokerUser}
_OURS = (BrokerUser.API, BrokerUser.WORKER, BrokerUser.OPERATOR)
Urls = Callable[[str], str]


@pytest.fixture(scope="module")
def url_of() -> Iterator[Urls]:
    """Serve a broker with our list, and yield a function that returns its address for a user."""
    with short_folder() as folder:
        server = prepare_valkey(folder / "valkey", access_list(_PASSWORDS))
        plain = server.url
        health = Server(server.arguments, broker_as(plain, "health", "any"))
        with serving(health, stop_signal=signal.SIGKILL):
            yield lambda user: broker_as(plain, user, _PASSWORDS[BrokerUser(user)]) if user in _PASSWORDS else plain


@pytest.fixture
def as_user(url_of: Urls) -> Iterator[Callable[[str], "redis.Redis"]]:
    """Yield a function that opens a client for a user."""
    clients: list[redis.Redis] = []

    def connect(user: str) -> "redis.Redis":
        clients.append(redis.Redis.from_url(url_of(user)))
        return clients[-1]

    yield connect
    worker = connect(BrokerUser.WORKER)
    worker.delete(*LISTS, QueueName.DECIDE)
    for client in clients:
        client.close()


def run(client: "redis.Redis", command: str) -> None:
    """Send a command as it is written."""
    client.execute_command(*command.split())  # type: ignore[no-untyped-call] # redis-py has not typed it


def settings_of(url_of: Urls, user: BrokerUser) -> Settings:
    """Return the settings of a process that is this user."""
    return build.settings(broker_url=url_of(user))


def test_who_does_not_log_in_may_do_nothing(url_of: Urls) -> None:
    with redis.Redis.from_url(url_of("nobody")) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


@pytest.mark.parametrize("user", BrokerUser)
@pytest.mark.parametrize(
    "command",
    [
        "CONFIG GET *",
        "MONITOR",
        "FLUSHALL",
        "FLUSHDB",
        "SHUTDOWN",
        "ACL LIST",
        "KEYS *",
        "CLIENT LIST",
        "CLIENT KILL x:1",
        "REPLICAOF no one",
        "SAVE",
        "FUNCTION FLUSH",
        "SCRIPT FLUSH",
        "SWAPDB 0 1",
        "PUBLISH x y",
    ],
)
def test_no_user_may_administer_the_broker(
    as_user: Callable[[str], "redis.Redis"], user: BrokerUser, command: str
) -> None:
    with pytest.raises(NoPermissionError):
        run(as_user(user), command)


@pytest.mark.parametrize(
    "command",
    [
        "LRANGE accept 0 -1",
        "LINDEX accept 0",
        "RPOP accept",
        "DEL accept",
        "LPUSH decide x",
        "LPUSH accept-of-others x",
        "GET postroom:epoch",
        "SREM _kombu.binding.accept x",
        "SADD _kombu.binding.decide x",
        "SCAN 0",
        "INFO",
        "EXPIRE accept 1",
        "SELECT 1",
    ],
)
def test_a_pusher_may_read_and_remove_nothing(as_user: Callable[[str], "redis.Redis"], command: str) -> None:
    pusher = as_user(BrokerUser.PUSHER)

    pusher.lpush(LISTS[0], "{}")

    with pytest.raises(NoPermissionError):
        run(pusher, command)


@pytest.mark.parametrize("program", ["by_celery.py", "by_hand.py"])
def test_a_pusher_sends_by_celery_and_by_hand(
    url_of: Urls, as_user: Callable[[str], "redis.Redis"], program: str
) -> None:
    url = url_of(BrokerUser.PUSHER)
    if program == "by_celery.py":
        url = url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    command = [sys.executable, str(ROOT / "tests" / "programs" / program), url, "sk_0123456789abcdef_x"]

    ended = run_to_end(command, text=json.dumps({"subject": "Hello"}), timeout_s=60)

    assert 0 == ended.returncode, ended.stderr
    worker = as_user(BrokerUser.WORKER)
    assert 1 == sum(int(worker.llen(name)) for name in LISTS)


@pytest.mark.parametrize(
    ("user", "command"),
    [
        (BrokerUser.API, "RPOP accept"),
        (BrokerUser.API, "LPUSH accept x"),
        (BrokerUser.API, "EXPIRE decide 1"),
        (BrokerUser.API, "DEL decide"),
        (BrokerUser.API, "SET postroom:epoch x"),
        (BrokerUser.OPERATOR, "LPUSH accept x"),
        (BrokerUser.OPERATOR, "DEL decide"),
        (BrokerUser.OPERATOR, "SET postroom:limits:x 1"),
        (BrokerUser.WORKER, "SET postroom:limits:x 1"),
        (BrokerUser.WORKER, "DEL postroom:limits:x"),
        (BrokerUser.WORKER, "SET other x"),
    ],
)
def test_a_process_may_not_do_the_work_of_another(
    as_user: Callable[[str], "redis.Redis"], user: BrokerUser, command: str
) -> None:
    with pytest.raises(NoPermissionError):
        run(as_user(user), command)


@pytest.mark.parametrize("user", _OURS)
def test_each_process_sees_what_doctor_and_queues_show(
    url_of: Urls, as_user: Callable[[str], "redis.Redis"], user: BrokerUser
) -> None:
    settings = settings_of(url_of, user)
    as_user(BrokerUser.WORKER).lpush(LISTS[1], "{}")

    assert [(QueueName.ACCEPT, 1)] == [(each.name, each.depth) for each in read_queues(settings) or () if each.depth]
    assert read_memory(settings) is not None
    assert [] == find_unread_lists(settings)


def test_the_api_counts_its_limits_and_rings(url_of: Urls, as_user: Callable[[str], "redis.Redis"]) -> None:
    settings = settings_of(url_of, BrokerUser.API)

    async def take_twice() -> tuple[list[bool], Any]:
        window = RedisSlidingWindow(url_of(BrokerUser.API))
        limit = RateLimit(1, 60)
        took = [await window.take("x", limit, 1), await window.take("x", limit, 1)]
        usage = await window.usage("x", limit)
        await window.close()
        return took, usage

    took, usage = asyncio.run(take_twice())
    doorbell = BrokerDoorbell(settings)
    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid4()])
    worker = as_user(BrokerUser.WORKER)
    wait_until(lambda: worker.llen(QueueName.DECIDE))
    doorbell.close()

    assert ([True, False], 1) == (took, usage.present)


def test_a_worker_reads_and_removes_direct_sends(url_of: Urls, as_user: Callable[[str], "redis.Redis"]) -> None:
    as_user(BrokerUser.PUSHER).lpush(LISTS[0], "first", "x" * 4_000_000)
    queue = DirectSendQueue(settings_of(url_of, BrokerUser.WORKER))

    queue.wait(0.1)
    for _ in range(2):
        queue.remove(LISTS[0], queue.peek(LISTS[0]))
    left = queue.waiting()
    queue.close()

    assert [] == left


def test_the_list_holds_no_password() -> None:
    content = access_list(_PASSWORDS)

    assert not [password for password in _PASSWORDS.values() if password in content]
