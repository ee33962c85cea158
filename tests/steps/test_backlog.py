"""What the sweep learns of the broker: which bells wait, that it lost them all, that nobody hears them."""

import json
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
from pydantic import SecretStr
from redis import Redis

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.backlog import EPOCH, BrokerBacklog
from tasks.broker.bell_format import RUNG_AT

RUNG = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DECIDE = QueueName.DECIDE
QUEUES = (DECIDE, QueueName.VETTING)


@pytest.fixture
def backlog(settings: Settings, broker: Redis) -> BrokerBacklog:
    """Give the backlog as a worker sees it that has looked before."""
    del broker
    backlog = BrokerBacklog(settings, QUEUES)
    backlog.oldest_bells()
    return backlog


def ring(broker: Redis, rung_at: object) -> None:
    """Push a bell as Celery does."""
    broker.lpush(DECIDE, json.dumps({"headers": {RUNG_AT: rung_at}}))


def test_the_oldest_bell_of_each_queue_is_told(backlog: BrokerBacklog, broker: Redis) -> None:
    for minutes in range(3):
        ring(broker, (RUNG + timedelta(minutes=minutes)).isoformat())

    assert {DECIDE: RUNG} == backlog.oldest_bells()


@pytest.mark.parametrize("rung_at", [None, 7, "yesterday", "2026-03-01T12:00:00"])
def test_a_bell_that_is_none_holds_nothing_back(backlog: BrokerBacklog, broker: Redis, rung_at: object) -> None:
    ring(broker, rung_at)

    assert {} == backlog.oldest_bells()


@pytest.mark.parametrize("others", [{}, {EPOCH: "another"}], ids=["it is empty", "another worker has marked it"])
def test_after_the_broker_lost_everything_what_was_rung_until_then_is_taken_for_lost(
    backlog: BrokerBacklog, broker: Redis, settings: Settings, others: dict[str, str]
) -> None:
    broker.flushdb()
    for key, value in others.items():
        broker.set(key, value)
    ring(broker, RUNG.isoformat())

    oldest = backlog.oldest_bells()[DECIDE]

    assert abs(oldest - settings.grace - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_first_look_of_a_worker_takes_nothing_for_lost(settings: Settings, broker: Redis) -> None:
    ring(broker, RUNG.isoformat())

    assert {DECIDE: RUNG} == BrokerBacklog(settings, QUEUES).oldest_bells()


def test_a_queue_that_nobody_reads_holds_nothing_back(settings: Settings, broker: Redis) -> None:
    clock = [0.0]
    backlog = BrokerBacklog(settings, QUEUES, now=lambda: clock[0])
    ring(broker, RUNG.isoformat())
    before = backlog.oldest_bells()

    clock[0] = 61.0
    standing = backlog.oldest_bells()
    broker.rpop(DECIDE)
    ring(broker, (RUNG + timedelta(minutes=1)).isoformat())
    moving = backlog.oldest_bells()

    assert ({DECIDE: RUNG}, {}, {DECIDE: RUNG + timedelta(minutes=1)}) == (before, standing, moving)


def test_a_broker_that_is_away_is_asked_once_in_a_while(settings: Settings) -> None:
    away = settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    backlog = BrokerBacklog(away, QUEUES)
    began = monotonic()

    told = [backlog.oldest_bells() for _ in range(100)]

    assert [{}] * 100 == told
    assert monotonic() - began < 2.0
