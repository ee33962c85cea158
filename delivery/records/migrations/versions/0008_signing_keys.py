"""Signing keys of clients, stored sealed. Only clients that exist now may go on to send by token."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KINDS = "'api_key', 'client_secret', 'access_token'"


def upgrade() -> None:
    op.add_column("credential", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    _replace_check(f"kind IN ({_KINDS}, 'signing_key')")
    op.add_column("client", sa.Column("may_send_by_token", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("client", sa.Column("direct_token_used_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE client SET may_send_by_token = true")


def downgrade() -> None:
    op.drop_column("client", "direct_token_used_at")
    op.drop_column("client", "may_send_by_token")
    op.execute("DELETE FROM credential WHERE kind = 'signing_key'")
    _replace_check(f"kind IN ({_KINDS})")
    op.drop_column("credential", "sealed")


def _replace_check(condition: str) -> None:
    op.drop_constraint(op.f("credential_kind_check"), "credential")
    op.create_check_constraint(op.f("credential_kind_check"), "credential", condition)
