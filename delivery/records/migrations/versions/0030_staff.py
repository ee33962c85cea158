"""Staff of the desk: people, their logins, and attempts that were refused. It only adds."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0024"
branch_labels = None
depends_on = None

_NOW = sa.text("clock_timestamp()")


def _instant(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=None if nullable else _NOW, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "staff",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_digest", sa.Text(), nullable=False),
        sa.Column("totp_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("totp_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("has_single_keys", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _instant("created_at"),
        _instant("disabled_at", nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'vetter', 'rule_editor', 'admin')", name=op.f("staff_role_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_pkey")),
    )
    op.create_index("staff_name_key", "staff", [sa.text("lower(name)")], unique=True)
    op.create_table(
        "staff_session",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("is_partial", sa.Boolean(), nullable=False),
        _instant("started_at"),
        _instant("seen_at"),
        _instant("confirmed_at"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("staff_session_staff_id_fkey")),
        sa.PrimaryKeyConstraint("digest", name=op.f("staff_session_pkey")),
    )
    op.create_index(op.f("staff_session_staff_id_idx"), "staff_session", ["staff_id"])
    op.create_table(
        "staff_login_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        _instant("tried_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_login_attempt_pkey")),
    )
    for column in ("name", "network"):
        op.create_index(op.f(f"staff_login_attempt_{column}_tried_at_idx"), "staff_login_attempt", [column, "tried_at"])


def downgrade() -> None:
    op.drop_table("staff_login_attempt")
    op.drop_table("staff_session")
    op.drop_table("staff")
