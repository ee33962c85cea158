"""How many messages addresses and accounts got in the last hour, and recipients that share a mailbox. It only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tally",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("before", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("present", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), server_default=sa.text("'-infinity'"), nullable=False),
        sa.Column("queued_until", sa.DateTime(timezone=True), server_default=sa.text("'-infinity'"), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("tally_pkey")),
    )
    _replace_reasons("'same_mailbox', ")


def _replace_reasons(new: str) -> None:
    op.drop_constraint("reason", "recipient", type_="check")
    op.create_check_constraint(
        "reason",
        "recipient",
        f"reason IN ('closed_to_everybody', 'type_not_accepted', 'sender_not_wanted', 'muted', 'quiet_hours', {new}"
        "'account_unavailable', 'flagged', 'refused_by_rule', 'refused_by_staff', 'expired_in_review', 'try_later', "
        "'mailbox_refused', 'not_expressible', 'gave_up', 'interrupted', 'step_failed', 'poisoned')",
    )


def downgrade() -> None:
    op.execute("UPDATE recipient SET reason = NULL WHERE reason = 'same_mailbox'")
    _replace_reasons("")
    op.drop_table("tally")
