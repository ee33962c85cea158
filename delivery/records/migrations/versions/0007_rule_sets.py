"""Rule sets, what their rules hit, and what rules ask about earlier messages. It only adds; 0008 builds the indexes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "rule_set",
        sa.Column("number", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("rule_set_pkey")),
    )
    op.create_table(
        "word_list",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("entries", sa.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("word_list_pkey")),
    )
    op.create_table(
        "rule_hit",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("has_failed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hit_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "rule", name=op.f("rule_hit_pkey")),
    )
    op.create_index(op.f("rule_hit_rule_hit_at_idx"), "rule_hit", ["rule", "hit_at"])
    op.add_column("message", sa.Column("sender_account_id", sa.Uuid(), nullable=True))
    op.add_column("message", sa.Column("rule_set", sa.Integer(), nullable=True))
    op.add_column("message", sa.Column("text_key", sa.BigInteger(), nullable=True))
    op.add_column("client", sa.Column("trust", sa.Text(), server_default="normal", nullable=False))
    op.create_check_constraint(op.f("client_trust_check"), "client", "trust IN ('normal', 'trusted', 'watched')")


def downgrade() -> None:
    op.drop_constraint(op.f("client_trust_check"), "client")
    op.drop_column("client", "trust")
    for column in ("text_key", "rule_set", "sender_account_id"):
        op.drop_column("message", column)
    for table in ("rule_hit", "word_list", "rule_set"):
        op.drop_table(table)
