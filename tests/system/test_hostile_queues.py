"""Whatever lies in a queue, the worker that reads it goes on, and its log holds nothing of it."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from delivery.records.database import Database, transaction
from delivery.records.pipeline import accept
from delivery.settings import Settings
from delivery.vocabulary import QueueName, State, StepName
from tasks.broker.doorbell import BrokerDoorbell
from tests.support.direct_sends import credential, envelope, fields
from tests.support.fixtures import Fixtures
from tests.support.hostile_payloads import MARK, hostile_payloads
from tests.support.process_group import DECIDE, SMTP, ProcessGroup, open_process_group
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")
# Ten thousand in all; those of each kind are read by tests/unit/test_bell_consumer.py and test_celery_task.py.
_BELLS, _SENDS = 3_000, 1_000
_WITHIN_S = 60.0


@pytest.fixture
def group(base_settings: Settings, database: Database, tmp_path: Path) -> Iterator[ProcessGroup]:
    """Yield a group with a worker of each lane, both registered."""
    with open_process_group(tmp_path, base_settings, bell_grace_s=3600) as group:
        group.start(DECIDE, SMTP)
        group.await_ready(database)
        yield group


def test_ten_thousand_hostile_payloads_in_the_queues_end_no_worker(
    database: Database, base_settings: Settings, broker: Redis, group: ProcessGroup, tmp_path: Path
) -> None:
    pids = {name: process.pid for name, process in group.processes.items()}
    for name in QueueName:
        number = _SENDS if name is QueueName.ACCEPT else _BELLS
        broker.lpush(name, *hostile_payloads(number, name, chance=random.Random(name)))
    wait_until(lambda: not any(broker.llen(name) for name in QueueName), within_s=_WITHIN_S)

    assert [State.DELIVERED] == _decided_by_bell(database, base_settings)
    assert pids == {name: process.pid for name, process in group.processes.items()}
    assert {DECIDE, SMTP} == set(group.living)
    logs = {name: (tmp_path / f"{name}.log").read_text(encoding="utf-8") for name in pids}
    assert {name: ("bell_garbled" in log, MARK in log) for name, log in logs.items()} == dict.fromkeys(
        pids, (True, False)
    )
    assert max(len(log.splitlines()) for log in logs.values()) < 100


def test_a_key_of_another_type_in_the_place_of_a_queue_ends_no_worker(
    database: Database, base_settings: Settings, broker: Redis, group: ProcessGroup, tmp_path: Path
) -> None:
    fixtures = Fixtures(database)
    pids = {name: process.pid for name, process in group.processes.items()}
    for name in QueueName:
        broker.set(name, MARK)
    wait_until(lambda: "letterbox_unreachable" in (tmp_path / f"{DECIDE}.log").read_text(encoding="utf-8"))
    broker.delete(*QueueName)

    broker.lpush(
        QueueName.ACCEPT, envelope(fields(fixtures.account(), token=credential(fixtures, base_settings.pepper)))
    )

    wait_until(lambda: fixtures.count("inbox_letter") == 1, within_s=20)
    assert pids == {name: process.pid for name, process in group.processes.items()}
    assert {DECIDE, SMTP} == set(group.living)


def _decided_by_bell(database: Database, settings: Settings) -> list[State]:
    """Store a message whose grace is an hour, ring for it, and return where it stands soon: only the bell can help."""
    fixtures = Fixtures(database)
    incoming = fixtures.incoming(fixtures.account())
    with transaction(database) as db:
        accept.accept(db, [incoming], grace=timedelta(hours=1))
    doorbell = BrokerDoorbell(settings)
    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [incoming.message_id])
    wait_until(lambda: fixtures.states(incoming.message_id) == [State.DELIVERED], within_s=20)
    doorbell.close()
    return [State(each) for each in fixtures.states(incoming.message_id)]
