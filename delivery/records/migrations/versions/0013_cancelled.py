"""Recipients that were cancelled. The version before does not know the state, and nothing but a command writes it."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _replace_states(", 'cancelled'")


def _replace_states(new: str) -> None:
    op.drop_constraint("state", "recipient", type_="check")
    op.create_check_constraint(
        "state",
        "recipient",
        "state IN ('accepted', 'held', 'queued', 'claimed', 'retrying', 'unknown', 'delivered', 'blocked', 'failed', "
        f"'refused'{new})",
    )


def downgrade() -> None:
    op.execute("UPDATE recipient SET state = 'refused' WHERE state = 'cancelled'")
    _replace_states("")
