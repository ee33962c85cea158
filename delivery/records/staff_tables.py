"""The tables of staff: who may use the desk, their logins, and what was refused lately."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from delivery.records.schema_base import NOW, Base, one_of
from delivery.vocabulary import StaffRole


class StaffRow(Base):
    """A person who may use the desk. Rows are never deleted, because decisions name them.

    `account_id` and `email` are who they are as a member of the platform: they decide nothing that they sent or got.
    """

    __tablename__ = "staff"
    __table_args__ = (
        CheckConstraint(one_of("role", StaffRole), name="role"),
        Index("staff_name_key", text("lower(name)"), unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str | None]
    account_id: Mapped[UUID | None]
    role: Mapped[str]
    # Argon2id, in the form that names its parameters.
    password_digest: Mapped[str]
    # The secret of one-time codes, sealed. NULL when the person has none; the last step that was used is used up.
    totp_sealed: Mapped[bytes | None]
    totp_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    has_single_keys: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]


class StaffSessionRow(Base):
    """A login at the desk. Of the token in the cookie only a keyed digest is stored.

    `is_partial` means that the password was right and the one-time code is still missing.
    """

    __tablename__ = "staff_session"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    is_partial: Mapped[bool]
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    # When the person last gave the password.
    confirmed_at: Mapped[datetime] = mapped_column(server_default=NOW)


class StaffLoginAttempt(Base):
    """An attempt to log in that was refused, or is still being checked. Name and network are keyed digests."""

    __tablename__ = "staff_login_attempt"
    __table_args__ = (Index(None, "name", "tried_at"), Index(None, "network", "tried_at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    network: Mapped[str]
    tried_at: Mapped[datetime] = mapped_column(server_default=NOW)
