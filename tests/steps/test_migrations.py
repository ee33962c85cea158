"""The migrations make exactly the schema that the code was written for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import inspect

from delivery.records.database import Database, open_database, transaction
from delivery.records.migrate import configuration, is_current, migrate
from delivery.records.schema import Base
from delivery.settings import Settings
from tests.support.servers import Servers


@pytest.fixture
def bare_store(servers: Servers, base_settings: Settings, worker_number: int) -> Iterator[Database]:
    """Make a database without any table."""
    url = SecretStr(servers.create_database(f"bare_{worker_number}", template=None))
    database = open_database(base_settings.model_copy(update={"database_url": url}), connections=4)
    yield database
    database.dispose()


def test_migrated_tables_are_those_of_the_schema(bare_store: Database) -> None:
    migrate(bare_store)

    with transaction(bare_store) as db:
        context = MigrationContext.configure(db, opts={"compare_server_default": True})
        assert [] == compare_metadata(context, Base.metadata)


def test_partial_indexes_and_checks_are_those_of_the_schema(bare_store: Database) -> None:
    """Alembic compares neither; PostgreSQL's own words for both are compared instead."""
    migrate(bare_store)
    migrated = _fine_print(bare_store)

    with transaction(bare_store) as db:
        Base.metadata.drop_all(db)
        Base.metadata.create_all(db)

    assert _fine_print(bare_store) == migrated


def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_everything_back(bare_store: Database) -> None:
    migrate(bare_store)
    tables = _tables(bare_store)

    with transaction(bare_store) as db:
        command.downgrade(configuration(db), "base")
    emptied = _tables(bare_store)
    migrate(bare_store)

    assert {"alembic_version"} == emptied
    assert tables == _tables(bare_store)


def test_two_migrations_at_once_take_turns(bare_store: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [bare_store] * 4))

    with transaction(bare_store) as db:
        assert is_current(db)


def test_a_database_without_tables_is_not_current(bare_store: Database) -> None:
    with transaction(bare_store) as db:
        assert not is_current(db)


def _tables(database: Database) -> set[str]:
    return set(inspect(database).get_table_names())


def _fine_print(database: Database) -> set[str]:
    with transaction(database) as db:
        checks = db.exec_driver_sql(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'"
        )
        indexes = db.exec_driver_sql(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        columns = db.exec_driver_sql(
            "SELECT table_name, column_name || data_type || is_nullable || coalesce(column_default, '')"
            " || coalesce(generation_expression, '')"
            " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        )
        return {f"{name}: {words}" for rows in (checks, indexes, columns) for name, words in rows}
