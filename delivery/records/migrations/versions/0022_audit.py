"""The audit: a chain of entries that are never changed, and personal details that can be erased. It only adds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("subjects", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("details_digest", sa.LargeBinary(), nullable=True),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("audit_event_pkey")),
    )
    op.create_index("audit_event_subjects_idx", "audit_event", ["subjects"], postgresql_using="gin")
    op.create_index("audit_event_actor_id_seq_idx", "audit_event", ["actor_id", "seq"])
    for name, event in (("row", "UPDATE OR DELETE"), ("table", "TRUNCATE")):
        op.execute(
            f"CREATE TRIGGER refuse_change_of_{name} BEFORE {event} ON audit_event"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.create_table(
        "audit_detail",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["audit_event.seq"], name=op.f("audit_detail_seq_fkey")),
        sa.PrimaryKeyConstraint("seq", name=op.f("audit_detail_pkey")),
    )


def downgrade() -> None:
    op.drop_table("audit_detail")
    op.drop_table("audit_event")
