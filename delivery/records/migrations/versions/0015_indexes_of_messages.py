"""Indexes of messages: for lists by status, and for what rules ask about the past.

They are built while messages are stored: no process waits for them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BY_STATUS = "message_client_id_status_created_at_id_idx"
_BY_ACCOUNT = "message_sender_account_idx"
_BY_ADDRESS = "message_sender_address_idx"
_BY_TEXT = "message_text_key_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _build(_BY_STATUS, ["client_id", "status", "created_at", "id"])
        _build(_BY_ACCOUNT, ["sender_account_id", "id"], where="sender_account_id IS NOT NULL")
        _build(_BY_ADDRESS, ["client_id", sa.text("lower(sender_email)"), "id"], where="sender_email IS NOT NULL")
        _build(_BY_TEXT, ["text_key", "created_at"], where="text_key IS NOT NULL")


def _build(name: str, columns: list[str | sa.TextClause], *, where: str | None = None) -> None:
    # A build that was cut off leaves an index that is written and never used.
    op.drop_index(name, "message", postgresql_concurrently=True, if_exists=True)
    condition = None if where is None else sa.text(where)
    op.create_index(name, "message", columns, postgresql_concurrently=True, postgresql_where=condition)


def downgrade() -> None:
    for name in (_BY_TEXT, _BY_ADDRESS, _BY_ACCOUNT, _BY_STATUS):
        op.drop_index(name, "message")
