"""What a client's own options of kombu do to its direct sends: they are read, or reported to operators."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from redis import Redis

from delivery.settings import Settings
from delivery.vocabulary import State
from tasks.app import celery_url
from tasks.broker.direct_queue import LISTS
from tasks.broker.unread_lists import UnreadList, find_unread_lists
from tasks.context import StepContext
from tests.support.direct_sends import envelope, fields, reading
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until
from worker.cli.app import app

pytestmark = pytest.mark.usefixtures("broker")


def send(settings: Settings, sent: dict[str, Any], *, priority: int = 0, **transport_options: Any) -> None:
    """Send as a service whose Celery has these transport options."""
    client = Celery(broker=celery_url(settings))
    client.conf.broker_transport_options = transport_options
    client.send_task("messages.accept", kwargs=sent, queue="accept", priority=priority)
    client.close()


@pytest.mark.parametrize("priority_steps", [None, list(range(10))])
@pytest.mark.parametrize("priority", [0, 1, 5, 9])
def test_sends_of_every_priority_are_read_whatever_the_steps_of_the_client(
    fixtures: Fixtures, token: str, context: StepContext, priority: int, priority_steps: list[int] | None
) -> None:
    sent = fields(fixtures.account(), token=token)
    options = {"priority_steps": priority_steps} if priority_steps else {}

    send(context.settings, sent, priority=priority, **options)
    with reading(context):
        wait_until(lambda: fixtures.count("message"))

    assert [State.ACCEPTED] == fixtures.states(UUID(sent["message_uuid"]))


@pytest.mark.parametrize(
    ("priority", "options", "name"),
    [
        (0, {"global_keyprefix": "shop:"}, "shop:accept"),
        (6, {"global_keyprefix": "shop:"}, "shop:accept\x06\x166"),
        (6, {"sep": ":"}, "accept:6"),
    ],
)
def test_a_list_that_a_clients_options_make_and_no_worker_reads_is_found(
    settings: Settings, priority: int, options: dict[str, Any], name: str
) -> None:
    send(settings, fields(token="x"), priority=priority, **options)

    assert [UnreadList(name, 1)] == find_unread_lists(settings)


def test_lists_that_are_read_and_those_of_other_programs_are_not_reported(settings: Settings, broker: Redis) -> None:
    for name in LISTS:
        broker.lpush(name, envelope({}))
    broker.lpush("shop:accept", b"an order")
    broker.lpush("acceptance", envelope({}))
    broker.set("shop:accept:1", b'"messages.accept"')

    assert [] == find_unread_lists(settings)


def test_queues_and_doctor_name_an_unread_list_and_count_every_priority(
    command: Callable[..., Any], settings: Settings, broker: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", settings.broker_url.get_secret_value())
    for name in LISTS[:4]:
        broker.lpush(name, envelope({}))
    send(settings, fields(token="x"), global_keyprefix="shop:")

    queues, doctor = (command(app, word).output for word in ("queues", "doctor"))

    assert "'shop:accept': 1" in queues
    assert [["accept", "4"]] == [line.split()[:2] for line in queues.splitlines() if line.strip().startswith("accept")]
    assert "'shop:accept' (1)" in doctor
