"""Migrate a database to the schema of this version, and check whether it has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import Database
from delivery.records.roles import grant_rights
from delivery.records.rule_sets import first_set

_FOLDER = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x706F7374726F6F6D  # "postroom" in ASCII: of two migrations at the same time, one waits.
_LOCK_WAIT_MS = 200


class NewerSchema(Exception):  # noqa: N818 - a fact about the database
    """The database has the schema of a later version, which this one cannot migrate."""


def migrate(database: Database) -> None:
    """Run the migrations that this database lacks, store a first rule set, and grant the roles their rights.

    Each is a transaction of its own.

    A migration may say that it runs outside of one. Several processes may run it at the same time, and after a crash
    the next run goes on where it ended.
    Raises `NewerSchema`; then nothing was changed.
    """
    with database.connect() as db, _lock(db):
        crash_here(CrashPoint.MIGRATION_LOCKED)
        with db.begin():
            _check_revision(MigrationContext.configure(db).get_current_revision())
        command.upgrade(configuration(db), "head")
        db.rollback()  # It left a transaction where it had nothing to do.
        with db.begin():
            first_set.install(db)
        with db.begin():
            grant_rights(db)
    crash_here(CrashPoint.MIGRATION_COMMITTED)


@contextmanager
def _lock(db: Connection) -> Iterator[None]:
    """Hold the lock of migrations. It is a lock of the session: some migrations run outside of a transaction.

    A process that waits begins a new transaction again and again, because CREATE INDEX CONCURRENTLY waits for every
    transaction that is older than itself, so for this one too.
    """
    while not _take_lock(db):
        pass
    try:
        yield
    finally:
        # The lock ends with its session, whatever the migration left of it.
        db.invalidate()


def _take_lock(db: Connection) -> bool:
    try:
        with db.begin():
            db.execute(text(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}"))
            db.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            return False
        raise
    return True


def _check_revision(revision: str | None) -> None:
    if revision is not None and revision not in _known_revisions():
        raise NewerSchema(f"the database is at revision {revision}, which a later version made. Run that version.")


def create_database(url: str, name: str) -> None:
    """Create a database with this name, unless it exists. `url` is that of any other database of the same server."""
    engine = create_engine(make_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        if not db.scalar(text("SELECT EXISTS (SELECT FROM pg_database WHERE datname = :name)"), {"name": name}):
            db.execute(text(f"CREATE DATABASE {engine.dialect.identifier_preparer.quote(name)}"))
    engine.dispose()


def is_current(db: Connection) -> bool:
    """Check whether this database has the schema of this version or of a later one.

    Migrations add before they remove, so a version works on while the next one is deployed. A revision that this
    version does not know is a later one.
    """
    revision = MigrationContext.configure(db).get_current_revision()
    return revision is not None and (revision == newest_revision() or revision not in _known_revisions())


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}


def newest_revision() -> str | None:
    """Return the revision that this version of the code was written for."""
    return ScriptDirectory(str(_FOLDER)).get_current_head()


def configuration(db: Connection) -> Config:
    """Return Alembic's configuration for this connection. There is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = db
    return config
