"""The simple path stays simple: what one message costs, counted (docs/performance.md shows the same numbers)."""

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
class Trace:
    """What has gone to the database."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0


@contextmanager
def traced(database: Database) -> Iterator[Trace]:
    """Note every statement and every commit while the block runs."""
    trace = Trace()

    def note_statement(connection: Any, cursor: Any, sql: str, *others: Any) -> None:
        del connection, cursor, others
        trace.statements.append(sql)

    def note_commit(connection: Any) -> None:
        del connection
        trace.commits += 1

    event.listen(database, "before_cursor_execute", note_statement)
    event.listen(database, "commit", note_commit)
    try:
        yield trace
    finally:
        event.remove(database, "before_cursor_execute", note_statement)
        event.remove(database, "commit", note_commit)


def test_taking_in_one_message_is_one_statement_and_one_commit(fixtures: Fixtures) -> None:
    incoming = fixtures.incoming(*fixtures.accounts(25))

    with traced(fixtures.database) as trace, transaction(fixtures.database) as db:
        accept.accept(db, [incoming], grace=GRACE)

    assert (1, 1) == (len(trace.statements), trace.commits)


def test_deciding_one_message_is_four_statements_one_commit_and_no_bell(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell
) -> None:
    message_id = fixtures.message(*fixtures.accounts(25))

    with traced(fixtures.database) as trace:
        decide(context, [message_id])

    assert (4, 1, 0) == (len(trace.statements), trace.commits, len(bells.rung))
    assert (0, 25, "sent") == fixtures.counters(message_id)


def test_one_message_is_one_bell(fixtures: Fixtures, base_settings: Settings, broker: "Redis") -> None:
    message_id = fixtures.message(*fixtures.accounts(25))
    doorbell = BrokerDoorbell(base_settings)

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [message_id])
    doorbell.close()

    (bell,) = broker.lrange(QueueName.DECIDE, 0, -1)
    assert StepName.DECIDE == json.loads(bell)["headers"]["task"]
