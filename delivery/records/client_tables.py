"""The tables of what clients are known by and know, and of what their recipients got."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from delivery.records.schema_base import NOW, Base


class IssuerLink(Base):
    """What the trusted issuer calls a client. A token that names no linked client opens nothing."""

    __tablename__ = "issuer_link"

    issuer_client: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("client.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ContactRow(Base):
    """An account that a client has registered or written to. No foreign keys: neither is ever deleted."""

    __tablename__ = "contact"

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)


class SilencedAddressRow(Base):
    """An address that was unsubscribed, as the SHA-256 of its lower case (identities/silenced_addresses.py)."""

    __tablename__ = "silenced_address"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class TallyRow(Base):
    """How many messages one address or account got in the window that ends at `ends_at`, and in the one before.

    An address is a keyed digest. Those that get little have no row (tasks/concurrency/recipient_limits.py).
    """

    __tablename__ = "tally"

    subject: Mapped[bytes] = mapped_column(primary_key=True)
    before: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    present: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    ends_at: Mapped[datetime] = mapped_column(server_default=text("'-infinity'"))
    queued_until: Mapped[datetime] = mapped_column(server_default=text("'-infinity'"))
