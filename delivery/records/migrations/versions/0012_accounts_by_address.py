"""An index that finds all accounts with an address, for unsubscribing. It only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("account_lower_email_idx", "account", [sa.text("lower(email)")])


def downgrade() -> None:
    op.drop_index("account_lower_email_idx", table_name="account")
