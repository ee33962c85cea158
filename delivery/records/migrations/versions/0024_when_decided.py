"""An index of decisions by time, for how long staff usually take. It only adds."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("case_decision_decided_at_idx", "case_decision", ["decided_at"])


def downgrade() -> None:
    op.drop_index("case_decision_decided_at_idx", "case_decision")
