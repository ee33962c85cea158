"""A process that freezes in the midst of a transaction must not hold its rows for ever."""

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from delivery.records.database import DATABASE_UNAVAILABLE, Database, open_database, transaction
from delivery.settings import LEASE_MARGIN_S, Settings
from tests.support.fixtures import Fixtures

_LOCK = text("SELECT id FROM message WHERE id = :id FOR NO KEY UPDATE")
_LOCK_OR_LEAVE = text("SELECT id FROM message WHERE id = :id FOR NO KEY UPDATE NOWAIT")
_SHORTEN = text("SELECT set_config('idle_in_transaction_session_timeout', '1ms', true)")


def test_postgres_ends_a_transaction_in_which_nothing_happens_before_its_lease_does(settings: Settings) -> None:
    database = open_database(settings, connections=1)

    with transaction(database) as db:
        idle_ms = db.scalar(
            text("SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
        )

    database.dispose()
    assert 0 < idle_ms < LEASE_MARGIN_S * 1000


def test_whoever_wakes_in_an_ended_transaction_hears_that_the_store_is_unavailable_and_its_rows_are_free(
    settings: Settings, fixtures: Fixtures, queued: UUID
) -> None:
    frozen = open_database(settings, connections=1)

    with pytest.raises(DATABASE_UNAVAILABLE):
        _sleep_in_a_transaction(frozen, fixtures, queued)

    frozen.dispose()


def _sleep_in_a_transaction(database: Database, fixtures: Fixtures, message_id: UUID) -> None:
    with transaction(database) as db:
        db.execute(_LOCK, {"id": message_id})
        db.execute(_SHORTEN)
        _await_release(fixtures, message_id)
        db.execute(_LOCK, {"id": message_id})


def _await_release(fixtures: Fixtures, message_id: UUID) -> None:
    """Try for the row until whoever holds it has lost it."""
    for _ in range(10_000):
        try:
            with transaction(fixtures.database) as db:
                db.execute(_LOCK_OR_LEAVE, {"id": message_id})
        except DBAPIError:
            continue
        return
    raise AssertionError("the frozen transaction still holds its row")
