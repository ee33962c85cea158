"""A process that freezes inside a transaction does not lock its rows forever."""

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from delivery.mail_settings import LEASE_MARGIN_S
from delivery.records.database import DATABASE_UNAVAILABLE, Database, open_database, transaction
from delivery.settings import Settings
from tests.support.fixtures import Fixtures

_LOCK = text("SELECT id FROM message WHERE id = :id FOR NO KEY UPDATE")
_LOCK_OR_FAIL = text("SELECT id FROM message WHERE id = :id FOR NO KEY UPDATE NOWAIT")
_SHORTEN = text("SELECT set_config('idle_in_transaction_session_timeout', '1ms', true)")


def test_postgres_ends_an_idle_transaction_before_a_lease_expires(settings: Settings) -> None:
    database = open_database(settings, connections=1)

    with transaction(database) as db:
        idle_ms = db.scalar(
            text("SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
        )

    database.dispose()
    assert 0 < idle_ms < LEASE_MARGIN_S * 1000


def test_a_process_that_resumes_in_an_ended_transaction_gets_an_error_and_its_rows_are_unlocked(
    settings: Settings, fixtures: Fixtures, queued: UUID
) -> None:
    frozen = open_database(settings, connections=1)

    with pytest.raises(DATABASE_UNAVAILABLE):
        _freeze_in_a_transaction(frozen, fixtures, queued)

    frozen.dispose()


def _freeze_in_a_transaction(database: Database, fixtures: Fixtures, message_id: UUID) -> None:
    with transaction(database) as db:
        db.execute(_LOCK, {"id": message_id})
        db.execute(_SHORTEN)
        _await_unlock(fixtures, message_id)
        db.execute(_LOCK, {"id": message_id})


def _await_unlock(fixtures: Fixtures, message_id: UUID) -> None:
    """Try to lock the row until its holder's transaction has ended."""
    for _ in range(10_000):
        try:
            with transaction(fixtures.database) as db:
                db.execute(_LOCK_OR_FAIL, {"id": message_id})
        except DBAPIError:
            continue
        return
    raise AssertionError("the frozen transaction still holds its row")
