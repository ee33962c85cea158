"""What an investigation may need later: credentials, changed addresses, decisions of staff. It only adds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KINDS = (
    "kind IN ('client_created', 'credential_created', 'credential_first_used', 'credential_revoked', "
    "'credentials_revoked', 'credentials_replaced', 'issuer_linked', 'issuer_unlinked', 'address_changed', "
    "'case_approved', 'case_rejected')"
)


def upgrade() -> None:
    op.create_table(
        "security_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "happened_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint(_KINDS, name=op.f("security_event_kind_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("security_event_pkey")),
    )
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        END $$
    """)
    for name, event in (("row", "UPDATE OR DELETE"), ("table", "TRUNCATE")):
        op.execute(
            f"CREATE TRIGGER refuse_change_of_{name} BEFORE {event} ON security_event"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    op.drop_table("security_event")
    op.execute("DROP FUNCTION refuse_change()")
