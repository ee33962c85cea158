"""Which preferences account holders have chosen themselves. It only adds.

Stored rows, and those that the version before writes, have NULL: their writer is unknown.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = ("is_channel_chosen", "is_closed_chosen", "are_types_chosen")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("preference", sa.Column(name, sa.Boolean(), nullable=True))


def downgrade() -> None:
    for name in reversed(_COLUMNS):
        op.drop_column("preference", name)
