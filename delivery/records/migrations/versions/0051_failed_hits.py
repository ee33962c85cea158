"""An index of the rules that failed on a message, for the watch. It is built while hits are stored: nobody waits."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_NAME = "rule_hit_failed_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # A build that was cut off leaves an index that is written and never used.
        op.drop_index(_NAME, "rule_hit", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            _NAME, "rule_hit", ["hit_at"], postgresql_concurrently=True, postgresql_where=sa.text("has_failed")
        )


def downgrade() -> None:
    op.drop_index(_NAME, "rule_hit")
