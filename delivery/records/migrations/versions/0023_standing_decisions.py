"""Standing decisions about one text from one sender. It only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "standing_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("sender_account_id", sa.Uuid(), nullable=True),
        sa.Column("sender_email", sa.Text(), nullable=True),
        sa.Column("text_key", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=True),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("uses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("verdict IN ('approve', 'reject')", name=op.f("standing_decision_verdict_check")),
        sa.CheckConstraint(
            "(sender_account_id IS NULL) <> (sender_email IS NULL)", name=op.f("standing_decision_sender_check")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["vetting_case.id"], name=op.f("standing_decision_case_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("standing_decision_pkey")),
    )
    op.create_index("standing_decision_text_key_ends_at_idx", "standing_decision", ["text_key", "ends_at"])


def downgrade() -> None:
    op.drop_table("standing_decision")
