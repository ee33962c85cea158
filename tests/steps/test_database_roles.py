"""Each role of the database has the rights of its table and no others, also in a database that had one role before."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from delivery.records.database import Database, open_database, transaction
from delivery.records.migrate import migrate
from delivery.records.rights import TABLE_RIGHTS, DatabaseRole
from delivery.records.roles import prepare_roles
from delivery.records.schema import METADATA
from delivery.settings import Settings
from tests.support.servers import Servers

pytestmark = pytest.mark.usefixtures("only_here")
_PASSWORDS = {role: f"the-password-of-{role}" for role in DatabaseRole}
_DONE_TO_ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_DONE_TO_TABLES = ("TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")


@pytest.fixture(scope="module")
def prepared(base_settings: Settings, servers: Servers, worker_number: int, only_here: None) -> Iterator[Database]:
    """Yield the superuser's view of a database that was migrated by a superuser and then got roles, twice."""
    del only_here
    url = SecretStr(servers.create_database(f"roles_{worker_number}"))
    database = open_database(base_settings.model_copy(update={"database_url": url}), connections=2)
    for _ in range(2):
        prepare_roles(database, _PASSWORDS)
        migrate(database)
    yield database
    database.dispose()


def url_of(database: Database, role: DatabaseRole) -> str:
    """Return the address of a database for a role; the servers of tests ask no password of us."""
    return database.url.set(username=role).render_as_string(hide_password=False)


def test_every_table_has_its_rights() -> None:
    assert {*METADATA.tables, "alembic_version"} == set(TABLE_RIGHTS)


@pytest.mark.parametrize("role", [each for each in DatabaseRole if each is not DatabaseRole.OWNER])
def test_a_role_has_the_rights_of_its_table_and_no_others(prepared: Database, role: DatabaseRole) -> None:
    has_right = text("SELECT has_table_privilege(:role, :table, :right)")
    rights = [*_DONE_TO_ROWS, *_DONE_TO_TABLES]

    with transaction(prepared) as db:
        actual = {
            table: {
                each for each in rights if db.scalar(has_right, {"role": role.value, "table": table, "right": each})
            }
            for table in TABLE_RIGHTS
        }

    # A right to some columns is none to the table.
    expected = {
        table: {each for each in _DONE_TO_ROWS if re.search(rf"\b{each}\b(?! \()", granted[role])}
        for table, granted in TABLE_RIGHTS.items()
    }
    assert expected == actual


def test_columns_that_are_granted_can_be_changed_and_others_cannot(prepared: Database) -> None:
    question = text("SELECT has_column_privilege(:role, 'credential', :column, 'UPDATE')")

    with transaction(prepared) as db:
        may = {
            (role, column): db.scalar(question, {"role": role.value, "column": column})
            for role in (DatabaseRole.API, DatabaseRole.WORKER)
            for column in ("last_used_at", "digest", "scopes", "expires_at", "client_id")
        }

    assert {(role, "last_used_at") for role, _ in may} == {each for each, is_granted in may.items() if is_granted}


@pytest.mark.parametrize("role", DatabaseRole)
@pytest.mark.parametrize(
    "statement", ["CREATE ROLE x", "CREATE DATABASE x", "COPY client FROM PROGRAM 'id'", "SELECT pg_read_file('x')"]
)
def test_no_role_may_rule_the_server(prepared: Database, role: DatabaseRole, statement: str) -> None:
    with (
        psycopg.connect(url_of(prepared, role), autocommit=True) as db,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        db.execute(statement.encode())


@pytest.mark.parametrize("role", [each for each in DatabaseRole if each is not DatabaseRole.OWNER])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE x ()",
        "DROP TABLE message",
        "ALTER TABLE message ADD x int",
        "TRUNCATE message",
        "UPDATE alembic_version SET version_num = ''",
        "DELETE FROM security_event",
        "UPDATE security_event SET actor = ''",
        "ALTER TABLE security_event DISABLE TRIGGER ALL",
        "SET ROLE postroom_owner",
    ],
)
def test_only_the_owner_changes_tables_and_no_role_changes_what_was_recorded(
    prepared: Database, role: DatabaseRole, statement: str
) -> None:
    with psycopg.connect(url_of(prepared, role)) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(statement.encode())


def test_the_owner_migrates_what_a_superuser_made(prepared: Database) -> None:
    owners = text("""
        SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
        UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """)

    with transaction(prepared) as db:
        found = set(db.scalars(owners))
    with psycopg.connect(url_of(prepared, DatabaseRole.OWNER)) as db:
        db.execute("ALTER TABLE message ADD COLUMN x int")
        db.execute("CREATE TABLE x ()")
        db.rollback()

    assert {DatabaseRole.OWNER.value} == found


def test_tables_of_other_programs_stay_theirs(prepared: Database) -> None:
    with transaction(prepared) as db:
        db.execute(text("CREATE TABLE orders (id int)"))
    prepare_roles(prepared, _PASSWORDS)

    with transaction(prepared) as db:
        owner = db.scalar(text("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'orders'"))
        readers = [
            role
            for role in DatabaseRole
            if db.scalar(text("SELECT has_table_privilege(:role, 'orders', 'SELECT')"), {"role": role.value})
        ]
        db.execute(text("DROP TABLE orders"))

    assert (prepared.url.username, []) == (owner, readers)


def test_the_server_gets_what_verifies_a_password_and_not_the_password(prepared: Database) -> None:
    with transaction(prepared) as db:
        stored = db.execute(
            text("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(:names)"),
            {"names": [*map(str, DatabaseRole)]},
        ).all()

    assert set(map(str, DatabaseRole)) == {row.rolname for row in stored}
    assert all(row.rolpassword.startswith("SCRAM-SHA-256$") for row in stored)
