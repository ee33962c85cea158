"""What the servers of `make up` refuse: questions to the real ones, with the addresses that its programs have."""

import psycopg
import pytest
import redis

from tests.support.platform import Platform


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE x ()",
        "CREATE ROLE x",
        "DROP TABLE message",
        "TRUNCATE message",
        "COPY client FROM PROGRAM 'id'",
        "UPDATE alembic_version SET version_num = ''",
    ],
)
def test_the_programs_may_only_read_and_write_rows(platform: Platform, statement: str) -> None:
    with psycopg.connect(platform.facts["database_url"]) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(statement.encode())


def test_the_role_of_the_programs_is_no_superuser(platform: Platform) -> None:
    with psycopg.connect(platform.facts["database_url"]) as db:
        found = db.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert (False,) * 5 == found


@pytest.mark.parametrize("command", ["CONFIG GET *", "MONITOR", "FLUSHALL", "SHUTDOWN", "ACL LIST"])
def test_the_broker_refuses_the_commands_of_its_administrator(platform: Platform, command: str) -> None:
    with (
        redis.Redis.from_url(platform.facts["broker_url"]) as broker,
        pytest.raises(redis.ResponseError, match="no perm"),
    ):
        broker.execute_command(*command.split())


def test_the_broker_is_bounded_and_evicts_nothing(platform: Platform) -> None:
    with redis.Redis.from_url(platform.facts["broker_url"]) as broker:
        memory = broker.info("memory")

    assert (256 * 1024 * 1024, "noeviction") == (memory["maxmemory"], memory["maxmemory_policy"])
