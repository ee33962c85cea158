"""The script that Alembic runs, on the connection that `records/migrate.py` passes to it."""

from alembic import context

from delivery.records.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
