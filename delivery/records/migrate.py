"""Migrate a database to the schema of this version, and check whether it has it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import Database
from delivery.records.rule_sets import first_set

_FOLDER = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x706F7374726F6F6D  # "postroom" in ASCII: of two migrations at the same time, one waits.


class NewerSchema(Exception):  # noqa: N818 - a fact about the database
    """The database has the schema of a later version, which this one cannot migrate."""


def migrate(database: Database) -> None:
    """Run the migrations that this database lacks and store a first rule set, in one transaction.

    Several processes may run it at the same time.

    Raises `NewerSchema`; then nothing was changed.
    """
    with database.begin() as db:
        db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        crash_here(CrashPoint.MIGRATION_LOCKED)
        revision = MigrationContext.configure(db).get_current_revision()
        if revision is not None and revision not in _known_revisions():
            raise NewerSchema(f"the database is at revision {revision}, which a later version made. Run that version.")
        command.upgrade(configuration(db), "head")
        first_set.install(db)
        crash_here(CrashPoint.MIGRATION_WRITTEN)
    crash_here(CrashPoint.MIGRATION_COMMITTED)


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
