"""When rules were watched last, and which cases were released with all that a rule version held. It only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rule_watch",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("rule_watch_pkey")),
    )
    op.add_column("vetting_case", sa.Column("released_with", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("vetting_case", "released_with")
    op.drop_table("rule_watch")
