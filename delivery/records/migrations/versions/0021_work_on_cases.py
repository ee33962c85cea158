"""Claims, notes and skips of vetting cases. It only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "case_claim",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["vetting_case.id"], name=op.f("case_claim_case_id_fkey")),
        sa.PrimaryKeyConstraint("case_id", "actor_id", name=op.f("case_claim_pkey")),
    )
    op.create_index("case_claim_actor_id_claimed_at_idx", "case_claim", ["actor_id", "claimed_at"])
    op.create_table(
        "case_note",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("asked_id", sa.Text(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.CheckConstraint("kind IN ('note', 'question', 'escalation')", name=op.f("case_note_kind_check")),
        sa.ForeignKeyConstraint(["case_id"], ["vetting_case.id"], name=op.f("case_note_case_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("case_note_pkey")),
    )
    op.create_index("case_note_case_id_made_at_idx", "case_note", ["case_id", "made_at"])
    op.create_index(
        "case_note_asked_idx", "case_note", ["asked_id", "made_at"], postgresql_where=sa.text("asked_id IS NOT NULL")
    )
    op.create_table(
        "case_skip",
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("skipped_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["vetting_case.id"], name=op.f("case_skip_case_id_fkey")),
        sa.PrimaryKeyConstraint("actor_id", "case_id", name=op.f("case_skip_pkey")),
    )


def downgrade() -> None:
    for table in ("case_skip", "case_note", "case_claim"):
        op.drop_table(table)
