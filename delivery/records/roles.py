"""Let a role read and write rows, and nothing else, so that a leaked password cannot run programs or change tables."""

from sqlalchemy import text

from delivery.records.database import Database


def admit(database: Database, role: str) -> None:
    """Create this role unless it exists, and grant it the rows of all tables. A repetition changes nothing.

    `database` must be that of a superuser or of the owner of the tables, who may also create roles. Run it after each
    migration, because a new table belongs to its owner alone.
    """
    quoted = database.dialect.identifier_preparer.quote(role)
    with database.begin() as db:
        if not db.scalar(text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)"), {"role": role}):
            db.execute(text(f"CREATE ROLE {quoted} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"))
        for statement in _GRANTS:
            db.execute(text(statement.format(role=quoted)))


_GRANTS = (
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    # Only migrations change which revision the tables have.
    "REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
)
