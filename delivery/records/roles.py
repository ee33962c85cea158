"""Create the roles of Postroom in PostgreSQL, with the passwords and the rights that each needs and no more."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from delivery.records.database import Database
from delivery.records.rights import TABLE_RIGHTS, DatabaseRole

_LOCK_KEY = 0x726F6C6573  # "roles" in ASCII: of two runs at the same time, one waits.
# It shows who it is for in pg_roles; what it may not is what every role may not by default.
_RIGHTS_OF_A_LOGIN = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
_EXISTING = text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)")
# Other programs may keep tables in the same database, so only ours change hands, and the functions of our triggers.
_NOT_YET_OWNED = text("""
    SELECT 'TABLE ' || oid::regclass FROM pg_class
    WHERE oid = ANY (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS ours (name))
      AND relowner <> CAST(:owner AS regrole)
    UNION
    SELECT 'FUNCTION ' || tgfoid::regprocedure FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE tgrelid = ANY (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS ours (name))
      AND NOT tgisinternal AND proowner <> CAST(:owner AS regrole)
""")


def prepare_roles(database: Database, passwords: Mapping[DatabaseRole, str]) -> None:
    """Create every role that does not exist, set these passwords, and let OWNER own the tables. Safe to repeat.

    `database` must be opened by a superuser. A role without a password can log in only where the server asks for none.
    """
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        existing = set(db.scalars(_EXISTING, {"names": [*map(str, DatabaseRole)]}))
        for role in DatabaseRole:
            command = "ALTER" if role in existing else "CREATE"
            db.execute(text(f"{command} ROLE {role} {_RIGHTS_OF_A_LOGIN}"))
            if role in passwords:
                _set_password(db, role, passwords[role])
            db.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))
        db.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
        db.execute(text(f"GRANT CREATE ON SCHEMA public TO {DatabaseRole.OWNER}"))
        _hand_over(db)
        db.invalidate()  # The lock ends with its session.


def grant_rights(db: Connection) -> None:
    """Grant each role its rights and take all others from it; roles that this server lacks are left out.

    The owner of the tables runs it after each migration, because a new table belongs to its owner alone.
    """
    existing = set(db.scalars(_EXISTING, {"names": [*map(str, DatabaseRole)]}))
    for table, rights in TABLE_RIGHTS.items():
        for role, granted in rights.items():
            if role in existing:
                db.execute(text(f"REVOKE ALL ON {table} FROM {role}"))
                db.execute(text(f"GRANT {granted} ON {table} TO {role}"))


def _set_password(db: Connection, role: DatabaseRole, password: str) -> None:
    """Store what PostgreSQL verifies a password with. The password itself stays here, so no log of a server has it."""
    driver: Any = db.connection.driver_connection
    verifier = driver.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    db.exec_driver_sql(f"ALTER ROLE {role} PASSWORD '{verifier}'")


def _hand_over(db: Connection) -> None:
    """Make OWNER the owner of our tables, one at a time, so that the lock of one delays no user of another."""
    values = {"tables": list(TABLE_RIGHTS), "owner": str(DatabaseRole.OWNER)}
    for thing in db.scalars(_NOT_YET_OWNED, values).all():
        db.exec_driver_sql(f"ALTER {thing} OWNER TO {DatabaseRole.OWNER}")
