"""Which transaction stopped an account's e-mails by the link in one of them. It only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("preference", sa.Column("unsubscribed_in", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("preference", "unsubscribed_in")
