"""Addresses that were unsubscribed, as digests. It only adds.

Those that a link has stopped until now are silenced. A stop that a later choice has replaced is not known any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "silenced_address",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("silenced_address_pkey")),
    )
    op.execute("""
        INSERT INTO silenced_address (digest)
        SELECT DISTINCT sha256(convert_to(lower(email), 'UTF8'))
        FROM account JOIN preference ON preference.account_id = account.id
        WHERE unsubscribed_in IS NOT NULL AND channel = 'inbox'
    """)


def downgrade() -> None:
    op.drop_table("silenced_address")
