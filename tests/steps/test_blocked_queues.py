"""A key of another type under the name of a queue is named, and the rest of the broker is still read."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.blocked_queues import find_blocked_queues
from tasks.broker.queue_depth import read_queues
from worker.cli.app import app


@pytest.mark.parametrize("blocked", [QueueName.DECIDE, QueueName.ACCEPT])
def test_a_queue_that_is_no_list_is_named_and_the_others_are_read(
    settings: Settings, broker: Redis, blocked: QueueName
) -> None:
    broker.set(blocked, "of another program")
    broker.lpush(QueueName.VETTING, "waits")

    views = read_queues(settings)

    assert [blocked] == find_blocked_queues(settings)
    assert {QueueName.VETTING: 1} == {each.name: each.depth for each in views or () if each.depth}


def test_operators_are_told_what_to_do(
    command: Callable[..., Any], settings: Settings, broker: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", settings.broker_url.get_secret_value())
    broker.hset(QueueName.DELIVER_SMTP, "a", "b")

    doctor, queues = (command(app, each).output for each in ("doctor", "queues"))

    assert "every queue at the broker is a list: 1 at fault: deliver.smtp" in doctor
    assert "deliver.smtp is no list" in queues
    assert all("Remove these keys (DEL)" in each for each in (doctor, queues))


def test_lists_and_empty_queues_are_fine(settings: Settings, broker: Redis) -> None:
    broker.lpush(QueueName.DECIDE, "waits")

    assert [] == find_blocked_queues(settings)
