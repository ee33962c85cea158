"""The table of security events."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from delivery.records.schema_base import NOW, Base, one_of
from delivery.vocabulary import SecurityEventKind


class SecurityEventRow(Base):
    """Something that an investigation may need later. A trigger refuses to change or delete a row.

    `subject` is the prefix of a credential, or the id of an account or vetting case. No secret and no address is here.
    """

    __tablename__ = "security_event"
    __table_args__ = (CheckConstraint(one_of("kind", SecurityEventKind), name="kind"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    happened_at: Mapped[datetime] = mapped_column(server_default=NOW)
    kind: Mapped[str]
    # No foreign key: an event outlives what it is about.
    client_id: Mapped[UUID | None]
    subject: Mapped[str | None]
    actor: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
