"""One message costs the statements, commits and bells that docs/performance.md states."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from sqlalchemy import event

from delivery.records.database import Database, transaction
from delivery.records.pipeline import accept
from delivery.settings import Settings
from delivery.vocabulary import QueueName, StepName
from tasks.broker.doorbell import BrokerDoorbell
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.support.fixtures import GRACE, Fixtures
from tests.support.step_driver import RecordingDoorbell


@dataclass
class TransactionCost:
    """The statements and commits that went to the database."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0


@contextmanager
def measured(database: Database) -> Iterator[TransactionCost]:
    """Record every statement and every commit while the block runs."""
    cost = TransactionCost()

    def record_statement(connection: Any, cursor: Any, sql: str, *others: Any) -> None:
        del connection, cursor, others
        cost.statements.append(sql)

    def record_commit(connection: Any) -> None:
        del connection
        cost.commits += 1

    event.listen(database, "before_cursor_execute", record_statement)
    event.listen(database, "commit", record_commit)
    try:
        yield cost
    finally:
        event.remove(database, "before_cursor_execute", record_statement)
        event.remove(database, "commit", record_commit)


def test_accepting_one_message_is_one_statement_and_one_commit(fixtures: Fixtures) -> None:
    incoming = fixtures.incoming(*fixtures.accounts(25))

    with measured(fixtures.database) as cost, transaction(fixtures.database) as db:
        accept.accept(db, [incoming], grace=GRACE)

    assert (1, 1) == (len(cost.statements), cost.commits)


def test_deciding_one_message_is_three_statements_one_commit_and_no_bell(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell
) -> None:
    message_id = fixtures.message(*fixtures.accounts(25))

    with measured(fixtures.database) as cost:
        decide(context, [message_id])

    assert (3, 1, 0) == (len(cost.statements), cost.commits, len(bells.rung))
    assert (0, 25, "sent") == fixtures.counters(message_id)


def test_one_message_is_one_bell(fixtures: Fixtures, base_settings: Settings, broker: "Redis") -> None:
    message_id = fixtures.message(*fixtures.accounts(25))
    doorbell = BrokerDoorbell(base_settings)

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [message_id])
    doorbell.close()

    (bell,) = broker.lrange(QueueName.DECIDE, 0, -1)
    assert StepName.DECIDE == json.loads(bell)["headers"]["task"]
