"""The backlog tells the sweep which bells wait, when the broker lost them, and when no worker reads them."""

import json
import tracemalloc
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
    """Return the backlog of a worker that has read it once before."""
    del broker
    backlog = BrokerBacklog(settings, QUEUES)
    backlog.oldest_bells()
    return backlog


def push_bell(broker: Redis, rung_at: object) -> None:
    """Push a bell in Celery's format."""
    broker.lpush(DECIDE, json.dumps({"headers": {RUNG_AT: rung_at}}))


def test_the_oldest_bell_of_each_queue_is_returned(backlog: BrokerBacklog, broker: Redis) -> None:
    for minutes in range(3):
        push_bell(broker, (RUNG + timedelta(minutes=minutes)).isoformat())

    assert {DECIDE: RUNG} == backlog.oldest_bells()


@pytest.mark.parametrize("rung_at", [None, 7, "yesterday", "2026-03-01T12:00:00"])
def test_an_invalid_bell_does_not_keep_the_sweep_waiting(
    backlog: BrokerBacklog, broker: Redis, rung_at: object
) -> None:
    push_bell(broker, rung_at)

    assert {} == backlog.oldest_bells()


@pytest.mark.parametrize("written", [{}, {EPOCH: "another"}], ids=["it is empty", "another worker has marked it"])
def test_after_the_broker_lost_its_data_all_bells_rung_before_count_as_lost(
    backlog: BrokerBacklog, broker: Redis, settings: Settings, written: dict[str, str]
) -> None:
    broker.flushdb()
    for key, value in written.items():
        broker.set(key, value)
    push_bell(broker, RUNG.isoformat())

    oldest = backlog.oldest_bells()[DECIDE]

    assert abs(oldest - settings.grace - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_first_read_of_a_worker_counts_no_bell_as_lost(settings: Settings, broker: Redis) -> None:
    push_bell(broker, RUNG.isoformat())

    assert {DECIDE: RUNG} == BrokerBacklog(settings, QUEUES).oldest_bells()


def test_a_queue_that_no_worker_reads_does_not_keep_the_sweep_waiting(settings: Settings, broker: Redis) -> None:
    clock = [0.0]
    backlog = BrokerBacklog(settings, QUEUES, now=lambda: clock[0])
    push_bell(broker, RUNG.isoformat())
    before = backlog.oldest_bells()

    clock[0] = 61.0
    unread = backlog.oldest_bells()
    broker.rpop(DECIDE)
    push_bell(broker, (RUNG + timedelta(minutes=1)).isoformat())
    after_a_read = backlog.oldest_bells()

    assert ({DECIDE: RUNG}, {}, {DECIDE: RUNG + timedelta(minutes=1)}) == (before, unread, after_a_read)


def test_an_unreachable_broker_is_asked_only_once_in_a_while(settings: Settings) -> None:
    unreachable = settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    backlog = BrokerBacklog(unreachable, QUEUES)
    began = monotonic()

    answers = [backlog.oldest_bells() for _ in range(100)]

    assert [{}] * 100 == answers
    assert monotonic() - began < 2.0


def test_a_payload_too_long_for_a_bell_is_not_read_whole_and_does_not_keep_the_sweep_waiting(
    backlog: BrokerBacklog, broker: Redis
) -> None:
    broker.lpush(DECIDE, b"x" * 7_500_000)
    tracemalloc.start()

    oldest = backlog.oldest_bells()

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {} == oldest
    assert peak_bytes < 1_000_000
