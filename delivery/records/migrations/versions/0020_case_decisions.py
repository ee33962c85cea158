"""Decisions about vetting cases that can be undone, and the version, due time and fingerprint of a case.

The version before reads the new states of a case only when it lists or shows one. Let no one decide with a pause while
both versions run.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0015"
branch_labels = None
depends_on = None

_NOW = sa.text("clock_timestamp()")
_PENDING = "applied_at IS NULL AND undone_at IS NULL"


def upgrade() -> None:
    op.add_column("vetting_case", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column("vetting_case", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("vetting_case", sa.Column("text_fingerprint", sa.BigInteger(), nullable=True))
    op.add_column("vetting_case", sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True))
    _replace_states("'open', 'decided', 'approved', 'rejected', 'partly', 'expired'")
    is_open = sa.text("state IN ('open')")
    op.create_index("vetting_case_open_idx", "vetting_case", ["opened_at", "id"], postgresql_where=is_open)
    op.create_index("vetting_case_fingerprint_idx", "vetting_case", ["text_fingerprint"], postgresql_where=is_open)
    _create_decisions()
    op.create_index("case_decision_case_id_decided_at_idx", "case_decision", ["case_id", "decided_at"])
    op.create_index(
        "case_decision_pending_idx", "case_decision", ["case_id"], unique=True, postgresql_where=sa.text(_PENDING)
    )
    op.create_index(
        "case_decision_batch_idx", "case_decision", ["batch_id"], postgresql_where=sa.text("batch_id IS NOT NULL")
    )
    op.create_index("case_decision_actor_idx", "case_decision", ["actor_id", "decided_at"])


def _create_decisions() -> None:
    op.create_table(
        "case_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("case_version", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("only_accounts", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("verdict IN ('approve', 'reject', 'expire')", name=op.f("case_decision_verdict_check")),
        sa.CheckConstraint(
            "actor_kind IN ('staff', 'operator', 'client', 'clock')", name=op.f("case_decision_actor_kind_check")
        ),
        sa.CheckConstraint("applied_at IS NULL OR undone_at IS NULL", name=op.f("case_decision_one_end_check")),
        sa.ForeignKeyConstraint(["case_id"], ["vetting_case.id"], name=op.f("case_decision_case_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("case_decision_pkey")),
    )


def _replace_states(words: str) -> None:
    op.drop_constraint("state", "vetting_case", type_="check")
    op.create_check_constraint("state", "vetting_case", f"state IN ({words})")


def downgrade() -> None:
    op.drop_table("case_decision")
    op.execute("UPDATE vetting_case SET state = 'open', decided_at = NULL, decided_by = NULL WHERE state = 'decided'")
    op.execute("UPDATE vetting_case SET state = 'approved' WHERE state = 'partly'")
    _replace_states("'open', 'approved', 'rejected', 'expired'")
    op.drop_index("vetting_case_fingerprint_idx", "vetting_case")
    op.drop_index("vetting_case_open_idx", "vetting_case")
    for name in ("escalated_at", "text_fingerprint", "due_at", "version"):
        op.drop_column("vetting_case", name)
