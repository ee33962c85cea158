"""The tables of the peers, as narrow and as indexed as ours, and their environment."""

import os
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Engine, ForeignKey, Identity, SmallInteger, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NOW = text("clock_timestamp()")


class Base(DeclarativeBase):
    """What the models share."""


class Account(Base):
    """A person who can receive messages."""

    __tablename__ = "account"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")


class Preference(Base):
    """The preference of a recipient."""

    __tablename__ = "preference"
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    channel: Mapped[str]
    is_closed: Mapped[bool]


class Credential(Base):
    """A key of a client, for the API."""

    __tablename__ = "credential"
    prefix: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    digest: Mapped[bytes]
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Message(Base):
    """What was sent. `settled_count` counts how often its status was settled: once, if all is well."""

    __tablename__ = "message"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    sender_name: Mapped[str]
    sender_email: Mapped[str | None]
    subject: Mapped[str]
    body: Mapped[str]
    type: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    open_count: Mapped[int] = mapped_column(SmallInteger)
    good_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    settled_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Recipient(Base):
    """One account that a message is for."""

    __tablename__ = "recipient"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id"), index=True)
    account_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(server_default="accepted")
    reason: Mapped[str | None]
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class InboxLetter(Base):
    """A message in the inbox of a recipient."""

    __tablename__ = "inbox_letter"
    recipient_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[UUID]
    message_id: Mapped[UUID]


def read_variable(name: str) -> str:
    """Read an environment variable of the benchmark, as every library's tutorial does."""
    return os.environ[name]  # noqa: TID251 - peers have no settings of ours


def open_engine() -> Engine:
    """Open the peer's database."""
    return create_engine(read_variable("DATABASE_URL").replace("postgresql://", "postgresql+psycopg://"))


# Settles a message in those peers that count down in its row instead of waiting for all results.
COUNT_DOWN = text("""
    UPDATE message
    SET open_count = open_count - 1, good_count = good_count + :good,
        status = CASE WHEN open_count > 1 THEN status WHEN good_count + :good > 0 THEN 'sent' ELSE 'rejected' END,
        settled_count = settled_count + (open_count = 1)::int,
        settled_at = CASE WHEN open_count = 1 THEN clock_timestamp() END
    WHERE id = :message_id
""")
