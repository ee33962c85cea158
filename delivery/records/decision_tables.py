"""The tables of what staff do with vetting cases."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, Integer, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from delivery.records.schema_base import NOW, Base, one_of
from delivery.rules.case_decisions import ActorKind, CaseVerdict, NoteKind

PENDING = "applied_at IS NULL AND undone_at IS NULL"
"""The condition that a decision waits for the end of its pause, and can still be undone."""


class CaseDecisionRow(Base):
    """A decision about a case, made on one of its versions. It is undone or applied, never both.

    `only_accounts` is NULL when the decision is for all held recipients. `sentence` is for the sender.
    """

    __tablename__ = "case_decision"
    __table_args__ = (
        CheckConstraint(one_of("verdict", CaseVerdict), name="verdict"),
        CheckConstraint(one_of("actor_kind", ActorKind), name="actor_kind"),
        CheckConstraint("applied_at IS NULL OR undone_at IS NULL", name="one_end"),
        Index(None, "case_id", "decided_at"),
        Index("case_decision_pending_idx", "case_id", unique=True, postgresql_where=text(PENDING)),
        Index("case_decision_batch_idx", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
        Index("case_decision_actor_idx", "actor_id", "decided_at"),
        Index(None, "decided_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("vetting_case.id"))
    case_version: Mapped[int] = mapped_column(Integer)
    verdict: Mapped[str]
    only_accounts: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    reason: Mapped[str | None]
    sentence: Mapped[str | None]
    note: Mapped[str | None]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_name: Mapped[str]
    # The bulk decision that it is part of.
    batch_id: Mapped[UUID | None]
    decided_at: Mapped[datetime] = mapped_column(server_default=NOW)
    effective_at: Mapped[datetime] = mapped_column(server_default=NOW)
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]
    applied_at: Mapped[datetime | None]


class CaseClaimRow(Base):
    """Who looks at a case until when. A claim warns others and blocks nothing."""

    __tablename__ = "case_claim"
    __table_args__ = (Index(None, "actor_id", "claimed_at"),)

    case_id: Mapped[UUID] = mapped_column(ForeignKey("vetting_case.id"), primary_key=True)
    actor_id: Mapped[str] = mapped_column(primary_key=True)
    actor_name: Mapped[str]
    claimed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    ends_at: Mapped[datetime]


class CaseNoteRow(Base):
    """What staff wrote about a case for each other: a note, a question to a colleague, or why it is escalated."""

    __tablename__ = "case_note"
    __table_args__ = (
        CheckConstraint(one_of("kind", NoteKind), name="kind"),
        Index(None, "case_id", "made_at"),
        Index("case_note_asked_idx", "asked_id", "made_at", postgresql_where=text("asked_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("vetting_case.id"))
    kind: Mapped[str]
    actor_id: Mapped[str]
    actor_name: Mapped[str]
    # Whom a question is for.
    asked_id: Mapped[str | None]
    content: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=NOW)


class CaseSkipRow(Base):
    """A case that a person does not want to see again for now."""

    __tablename__ = "case_skip"

    actor_id: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("vetting_case.id"), primary_key=True)
    skipped_at: Mapped[datetime] = mapped_column(server_default=NOW)


class StandingDecisionRow(Base):
    """What becomes of one text from one sender, without staff, until an end: it passes or is refused.

    A sender is an attested account or, without one, the address that messages of a client claim.
    """

    __tablename__ = "standing_decision"
    __table_args__ = (
        CheckConstraint("verdict IN ('approve', 'reject')", name="verdict"),
        CheckConstraint("(sender_account_id IS NULL) <> (sender_email IS NULL)", name="sender"),
        Index(None, "text_key", "ends_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    sender_account_id: Mapped[UUID | None]
    # In lower case.
    sender_email: Mapped[str | None]
    text_key: Mapped[int] = mapped_column(BigInteger)
    # The case that it was made from.
    case_id: Mapped[UUID] = mapped_column(ForeignKey("vetting_case.id"))
    verdict: Mapped[str]
    reason: Mapped[str | None]
    sentence: Mapped[str | None]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    actor_name: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=NOW)
    ends_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None]
    uses: Mapped[int] = mapped_column(Integer, server_default=text("0"))
