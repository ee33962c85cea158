"""Since when the relay takes no mail of a worker, and its words. It only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker", sa.Column("relay_refused_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("worker", sa.Column("relay_words", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("worker", "relay_words")
    op.drop_column("worker", "relay_refused_since")
