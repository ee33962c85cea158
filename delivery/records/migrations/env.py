"""The script that Alembic runs, on the connection that `records/migrate.py` passes to it."""

from alembic import context

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # A migration that runs outside of a transaction commits those before it.
    transaction_per_migration=True,
    on_version_apply=lambda **_: crash_here(CrashPoint.MIGRATION_WRITTEN),
)
with context.begin_transaction():
    context.run_migrations()
