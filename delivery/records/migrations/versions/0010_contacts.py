"""Which accounts a client has registered or written to. It only adds, and begins with the newest recipients."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# So many are read in about ten seconds, without a lock that a running process waits for.
_NEWEST = 2_000_000


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "account_id", name=op.f("contact_pkey")),
    )
    op.execute(f"""
        INSERT INTO contact (client_id, account_id)
        SELECT DISTINCT message.client_id, recipient.account_id
        FROM recipient JOIN message ON message.id = recipient.message_id
        WHERE recipient.id > (SELECT max(id) FROM recipient) - {_NEWEST}
    """)


def downgrade() -> None:
    op.drop_table("contact")
