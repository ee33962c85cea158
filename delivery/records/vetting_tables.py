"""The tables of vetting: rule sets, what their rules hit, and the cases that staff decide."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from delivery.records.schema_base import NOW, Base, one_of
from delivery.vocabulary import CaseState


class RuleSetRow(Base):
    """A rule set, never changed once made. The one with the highest number is in force."""

    __tablename__ = "rule_set"

    number: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    # The set without the entries of its lists, each of which has the digest of its entries instead.
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    made_by: Mapped[str]
    comment: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=NOW)


class WordListRow(Base):
    """The entries of a word list, under the SHA-256 of what they are. Sets share those that are the same."""

    __tablename__ = "word_list"

    digest: Mapped[str] = mapped_column(primary_key=True)
    entries: Mapped[list[str]] = mapped_column(ARRAY(Text))


class RuleHitRow(Base):
    """A rule that hit a message: which version of it, what it asked for, and what it found."""

    __tablename__ = "rule_hit"
    __table_args__ = (
        Index(None, "rule", "hit_at"),
        Index("rule_hit_failed_idx", "hit_at", postgresql_where=text("has_failed")),
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    action: Mapped[str]
    mode: Mapped[str]
    has_failed: Mapped[bool] = mapped_column(server_default=text("false"))
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    hit_at: Mapped[datetime] = mapped_column(server_default=NOW)


class RuleWatchRow(Base):
    """When a worker last looked whether rules hold too much. The worker that moves `checked_at` on does it."""

    __tablename__ = "rule_watch"

    name: Mapped[str] = mapped_column(primary_key=True)
    checked_at: Mapped[datetime]


class VettingCase(Base):
    """The review of a held message: what flagged it, until when staff can decide, and what they decided.

    `version` grows by one with each change. `due_at` is when staff should have decided; at `expires_at` the review is
    over. The last three columns that are not about time are those of the newest decision.
    """

    __tablename__ = "vetting_case"
    __table_args__ = (
        CheckConstraint(one_of("state", CaseState), name="state"),
        Index("vetting_case_open_idx", "opened_at", "id", postgresql_where=text(one_of("state", [CaseState.OPEN]))),
        Index(
            "vetting_case_fingerprint_idx", "text_fingerprint", postgresql_where=text(one_of("state", [CaseState.OPEN]))
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id"), unique=True)
    state: Mapped[str] = mapped_column(server_default=CaseState.OPEN)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    opened_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    due_at: Mapped[datetime | None]
    # Cases whose texts read the same, or nearly so, have the same (detection/fingerprints.py).
    text_fingerprint: Mapped[int | None] = mapped_column(BigInteger)
    escalated_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    note: Mapped[str | None]
    # RULE@VERSION if it was released with all that this version alone held, without a look at it.
    released_with: Mapped[str | None]
