"""The tables of the audit: entries that are never changed, and their personal details, which can be erased."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from delivery.records.schema_base import Base


class AuditEventRow(Base):
    """An entry of the audit chain. A trigger refuses to change or delete a row. `seq` has no gap."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("audit_event_subjects_idx", "subjects", postgresql_using="gin"),
        Index(None, "actor_id", "seq"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str]
    actor_id: Mapped[str]
    subjects: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # Text and not JSON, because the chain is over its bytes.
    facts: Mapped[str]
    details_digest: Mapped[bytes | None]
    chain: Mapped[bytes]


class AuditDetailRow(Base):
    """The personal details of an audit entry. Erasing a person deletes rows here, and the chain stays whole."""

    __tablename__ = "audit_detail"

    seq: Mapped[int] = mapped_column(BigInteger, ForeignKey("audit_event.seq"), primary_key=True, autoincrement=False)
    salt: Mapped[bytes]
    details: Mapped[str]
