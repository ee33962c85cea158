"""The migrations make exactly the schema that the code defines."""

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
from delivery.records.pipeline import accept
from delivery.records.schema import METADATA
from delivery.settings import Settings
from tests.support.fixtures import GRACE, Fixtures
from tests.support.servers import Servers
from tests.support.waiting import wait_until

_CLIENTS_OF_0005 = """
    INSERT INTO client (id, name, scopes)
    SELECT ('00000000-0000-7000-8000-00000000000' || number)::uuid, name, '{}'
    FROM unnest(ARRAY['shop', 'both', 'by key', 'twin', 'twin', 'revoked', 'by token'])
    WITH ORDINALITY AS c (name, number);
    INSERT INTO credential (prefix, client_id, kind, digest, last_used_at, expires_at, revoked_at)
    SELECT kind || client, ('00000000-0000-7000-8000-00000000000' || client)::uuid, kind, '', used, ends, revoked
    FROM (VALUES
        ('api_key', 1, NULL, NULL, NULL),
        ('api_key', 2, now() - interval '2 hours', NULL, NULL),
        ('api_key', 3, now() - interval '1 hour', NULL, NULL),
        ('api_key', 6, NULL, NULL, now()),
        ('client_secret', 7, now() - interval '2 hours', NULL, NULL),
        ('access_token', 7, NULL, now() - interval '1 hour', NULL)
    ) AS c (kind, client, used, ends, revoked);
    INSERT INTO message (id, client_id, sender_name, subject, body, type, created_at, open_count, good_count)
    SELECT gen_random_uuid(), ('00000000-0000-7000-8000-00000000000' || client)::uuid, '', '', '', 'other', at, 0, 1
    FROM (VALUES (2, now()), (3, now() - interval '59 minutes'), (7, now() - interval '90 minutes')) AS m (client, at)
"""


@pytest.fixture
def bare_database(servers: Servers, base_settings: Settings, worker_number: int) -> Iterator[Database]:
    """Yield a database without any table."""
    url = SecretStr(servers.create_database(f"bare_{worker_number}", template=None))
    database = open_database(base_settings.model_copy(update={"database_url": url}), connections=4)
    yield database
    database.dispose()


def test_migrated_tables_equal_those_of_the_schema(bare_database: Database) -> None:
    migrate(bare_database)

    with transaction(bare_database) as db:
        context = MigrationContext.configure(db, opts={"compare_server_default": True})
        assert [] == compare_metadata(context, METADATA)


def test_partial_indexes_and_checks_equal_those_of_the_schema(bare_database: Database) -> None:
    """Compare PostgreSQL's own definitions of both, because Alembic compares neither."""
    migrate(bare_database)
    migrated = _definitions(bare_database)

    with transaction(bare_database) as db:
        METADATA.drop_all(db)
        METADATA.create_all(db)

    assert _definitions(bare_database) == migrated


def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_everything_back(bare_database: Database) -> None:
    migrate(bare_database)
    tables = _tables(bare_database)

    with transaction(bare_database) as db:
        command.downgrade(configuration(db), "base")
    emptied = _tables(bare_database)
    migrate(bare_database)

    assert {"alembic_version"} == emptied
    assert tables == _tables(bare_database)


def test_concurrent_migrations_run_one_after_the_other(bare_database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [bare_database] * 4))

    with transaction(bare_database) as db:
        assert is_current(db)


def test_an_index_is_built_while_messages_are_stored(bare_database: Database) -> None:
    """Store a message while the migration waits for the end of an older transaction that stores another one."""
    migrate(bare_database)
    fixtures = Fixtures(bare_database)
    _go_back_to(bare_database, "0014")

    with ThreadPoolExecutor(1) as pool, transaction(bare_database) as older:
        accept.accept(older, [fixtures.incoming(fixtures.account())], grace=GRACE)
        migrating = pool.submit(migrate, bare_database)
        wait_until(lambda: fixtures.run_sql("SELECT FROM pg_stat_progress_create_index"))
        fixtures.message(fixtures.account())
        was_waiting = not migrating.done()
        older.commit()
        migrating.result(10)

    assert was_waiting
    with transaction(bare_database) as db:
        assert is_current(db)


def test_an_index_whose_build_was_cut_off_is_built_again(bare_database: Database) -> None:
    index = "message_client_id_status_created_at_id_idx"
    migrate(bare_database)
    _go_back_to(bare_database, "0015")
    with transaction(bare_database) as db:
        command.downgrade(configuration(db), "0015")
        db.exec_driver_sql("UPDATE alembic_version SET version_num = '0014'")
        db.exec_driver_sql(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass")

    migrate(bare_database)

    with transaction(bare_database) as db:
        assert db.exec_driver_sql(f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{index}'::regclass").scalar()


def test_a_database_without_tables_is_not_current(bare_database: Database) -> None:
    with transaction(bare_database) as db:
        assert not is_current(db)


def test_clients_that_foreign_tokens_may_have_used_are_linked_by_the_upgrade(bare_database: Database) -> None:
    migrate(bare_database)
    with transaction(bare_database) as db:
        command.downgrade(configuration(db), "0005")
        db.exec_driver_sql(_CLIENTS_OF_0005)

    migrate(bare_database)

    with transaction(bare_database) as db:
        links = db.exec_driver_sql("SELECT right(client_id::text, 1), issuer_client FROM issuer_link ORDER BY 1, 2")
        linked: dict[str, list[str]] = {}
        for last, name in links:
            linked.setdefault(last, []).append(name)
    ids = {last: f"00000000-0000-7000-8000-00000000000{last}" for last in "1245"}
    assert {"1": [ids["1"], "shop"], "2": [ids["2"], "both"], "4": [ids["4"]], "5": [ids["5"]]} == linked


def _go_back_to(database: Database, revision: str) -> None:
    with transaction(database) as db:
        command.downgrade(configuration(db), revision)


def _tables(database: Database) -> set[str]:
    return set(inspect(database).get_table_names())


def _definitions(database: Database) -> set[str]:
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
        return {f"{name}: {definition}" for rows in (checks, indexes, columns) for name, definition in rows}
