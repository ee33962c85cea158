"""A real worker process stores direct sends despite `kill -9` and invalid elements, and logs none of their content."""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from delivery.records.database import Database, transaction
from delivery.records.pipeline import accept
from delivery.settings import Settings
from delivery.vocabulary import QueueName, State, StepName
from tasks.broker.direct_queue import LISTS
from tasks.broker.doorbell import BrokerDoorbell
from tests.support.direct_sends import credential, envelope, fields, sealed
from tests.support.fixtures import Fixtures
from tests.support.process_group import DECIDE, ProcessGroup, open_process_group
from tests.support.waiting import wait_until
from tests.unit.test_celery_task import NOT_READABLE

pytestmark = pytest.mark.xdist_group("platform")
_SECRETS = ("Guten Tag", "Betreff", "grace@example.com", "at_00")


@pytest.fixture
def group(base_settings: Settings, tmp_path: Path) -> Iterator[ProcessGroup]:
    """Yield a group for a deciding worker, which logs to `decide.log`."""
    with open_process_group(tmp_path, base_settings, bell_grace_s=5) as group:
        yield group


def test_no_send_is_lost_or_stored_twice_when_workers_are_killed(
    database: Database, base_settings: Settings, broker: Redis, group: ProcessGroup
) -> None:
    fixtures = Fixtures(database)
    account_id, token = fixtures.account(), credential(fixtures, base_settings.pepper)
    sends = [fields(account_id, token=token) for _ in range(1500)]
    for each in sends:
        broker.lpush(LISTS[0], envelope(each))

    for progress in (100, 500, 900):
        group.start(DECIDE)
        wait_until(lambda: fixtures.count("message") >= progress, within_s=30)  # noqa: B023 - it is called at once
        group.kill(DECIDE)
    group.start(DECIDE)
    wait_until(lambda: fixtures.count("inbox_letter") == len(sends), within_s=30)
    wait_until(lambda: not broker.llen(LISTS[0]))

    assert {UUID(each["message_uuid"]) for each in sends} == {
        row.id for row in fixtures.run_sql("SELECT id FROM message")
    }
    assert (1500, 0) == (fixtures.count("inbox_letter"), fixtures.count("refused_send"))


def test_invalid_sends_do_not_stop_a_worker_and_their_content_is_not_logged(
    database: Database,
    base_settings: Settings,
    broker: Redis,
    group: ProcessGroup,
    tmp_path: Path,
) -> None:
    fixtures = Fixtures(database)
    account_id, token = fixtures.account(), credential(fixtures, base_settings.pepper)
    secret: dict[str, Any] = {"subject": "Betreff", "body": "Guten Tag", "sender_email": "grace@example.com"}
    valid = fields(account_id, token=token, **secret)
    invalid = [
        fields(account_id, token=token, **{**secret, "type": "Guten Tag"}),
        fields(account_id, token="at_00", **secret),
        fields(account_id, account_id, token=token, **{**secret, "sender_email": "grace@example.com,"}),
    ]

    group.start(DECIDE)
    for raw in (*(raw for raw, _ in NOT_READABLE.values()), *map(envelope, [*invalid, valid])):
        broker.lpush(LISTS[0], raw)
    broker.lpush(LISTS[0], envelope(invalid[0], positional=list(secret.values())), b"Guten Tag", b'["Betreff"]')
    wait_until(lambda: fixtures.count("inbox_letter") and not broker.llen(LISTS[0]), within_s=30)
    group.run("refused", sys.executable, "-m", "worker", "refused", "--json", "--limit", "1000")
    assert 0 == group.processes.pop("refused").wait(30)
    output = (tmp_path / "refused.log").read_text(encoding="utf-8")

    assert DECIDE in group.living
    listed = json.loads(output)["refused"]
    assert len(NOT_READABLE) + len(invalid) + 3 == len(listed)
    assert ["not_an_object", "invalid_json", "invalid_request"] == [each["faults"][0]["code"] for each in listed[:3]]
    log = (tmp_path / "decide.log").read_text(encoding="utf-8")
    assert "direct_send_refused" in log
    assert [] == [word for word in (*_SECRETS, token) if word in log + output]


def test_invalid_bells_do_not_stop_a_worker_and_the_next_valid_bell_is_read(
    database: Database,
    base_settings: Settings,
    broker: Redis,
    group: ProcessGroup,
    tmp_path: Path,
) -> None:
    fixtures = Fixtures(database)
    secret = {"body": "Guten Tag"}
    group.start(DECIDE)
    wait_until(lambda: fixtures.count("worker"), within_s=30)

    for raw in (b"Guten Tag", *(raw for raw, _ in NOT_READABLE.values()), envelope(secret), sealed(b"Guten Tag")):
        broker.lpush(QueueName.DECIDE, raw)
    # Its grace is an hour: only the bell can bring it to the worker in time.
    incoming = fixtures.incoming(fixtures.account())
    with transaction(database) as db:
        accept.accept(db, [incoming], grace=timedelta(hours=1))
    doorbell = BrokerDoorbell(base_settings)
    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [incoming.message_id])
    wait_until(lambda: fixtures.states(incoming.message_id) == [State.DELIVERED], within_s=20)
    doorbell.close()

    assert DECIDE in group.living
    log = (tmp_path / "decide.log").read_text(encoding="utf-8")
    assert ("bell_garbled" in log, "Guten Tag" in log) == (True, False)
