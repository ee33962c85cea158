"""Access tokens of a client by their end, so that issuing one costs the same however many there are. It only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        op.f("credential_client_id_expires_at_idx"),
        "credential",
        ["client_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("kind = 'access_token'"),
    )


def downgrade() -> None:
    op.drop_index(op.f("credential_client_id_expires_at_idx"), table_name="credential")
