"""The tables. `migrations/` creates them; a test compares the two.

States, reasons and other words of the vocabulary are text with a CHECK, so that a new word is a migration on which a
running older version continues to work.
"""

from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from delivery.records.audit_tables import AuditEventRow
from delivery.records.client_tables import IssuerLink
from delivery.records.decision_tables import CaseDecisionRow
from delivery.records.schema_base import NOW, Base, one_of
from delivery.records.security_tables import SecurityEventRow
from delivery.records.staff_tables import StaffRow
from delivery.records.vetting_tables import VettingCase
from delivery.rules.states import OPEN_STATES, WAITING_STATES
from delivery.vocabulary import (
    AccountStatus,
    Channel,
    CredentialKind,
    MessageType,
    Reason,
    SenderRule,
    State,
    Status,
    Trust,
)

ELSEWHERE = (VettingCase, CaseDecisionRow, AuditEventRow, SecurityEventRow, IssuerLink, StaffRow)
"""Tables of the modules that belong to the same schema; their import adds all of theirs."""
METADATA = Base.metadata
"""All tables: those of this module and of those that it imports."""

STATE_APART = "recipient.state || ''"
"""A recipient's state, for statements that find recipients by something else, such as their message.

With the plain column, PostgreSQL may use the sweep's index of all rows in that state. Statistics from a time without
open rows make that index look short, and then each batch reads a whole backlog (measured)."""


class Account(Base):
    """A member of the platform, who can receive messages."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint(one_of("status", AccountStatus), name="status"),
        # Unsubscribing means all accounts with an address.
        Index("account_lower_email_idx", text("lower(email)")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=AccountStatus.ACTIVE)
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


class PreferenceRow(Base):
    """An account's preferences. An account without a row has the defaults of `rules/preferences.py`.

    The last three columns are whether the account holder chose that preference. NULL means unknown: the row is of a
    version before 0004. `identities/accounts.py` then takes what limits messages for a choice.
    """

    __tablename__ = "preference"
    __table_args__ = (
        CheckConstraint(one_of("channel", Channel), name="channel"),
        CheckConstraint(one_of("sender_rule", SenderRule), name="sender_rule"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet_hours"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(server_default=Channel.INBOX)
    is_closed: Mapped[bool] = mapped_column(server_default=text("false"))
    accepted_types: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    sender_rule: Mapped[str | None]
    senders: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    muted_until: Mapped[datetime | None]
    quiet_from: Mapped[time | None]
    quiet_until: Mapped[time | None]
    is_channel_chosen: Mapped[bool | None]
    is_closed_chosen: Mapped[bool | None]
    are_types_chosen: Mapped[bool | None]
    # The transaction in which the link of an e-mail set the channel to inbox (records/identities/unsubscriptions.py).
    unsubscribed_in: Mapped[int | None] = mapped_column(BigInteger)


class Client(Base):
    """A program that sends or reads messages, with its scopes and limits."""

    __tablename__ = "client"
    __table_args__ = (CheckConstraint(one_of("trust", Trust), name="trust"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # NULL means the limit of the settings.
    requests_per_minute: Mapped[int | None] = mapped_column(Integer)
    recipients_per_minute: Mapped[int | None] = mapped_column(Integer)
    # How far staff trust it; the policy of a rule set asks for it.
    trust: Mapped[str] = mapped_column(server_default=Trust.NORMAL)
    # It may send to simulated recipients (rules/simulated_recipients.py).
    is_test: Mapped[bool] = mapped_column(server_default="false")
    # It was made before signatures existed, so its direct sends may have a token; and when one had it last.
    may_send_by_token: Mapped[bool] = mapped_column(server_default="false")
    direct_token_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Credential(Base):
    """One key, secret or token of a client. Its public prefix finds it; of the rest only a keyed digest is stored.

    A signing key is stored sealed too, because a digest cannot verify what it signs.

    `scopes` narrows the scopes of the client; NULL means all of them. Tokens always expire (`expires_at`).
    """

    __tablename__ = "credential"
    __table_args__ = (CheckConstraint(one_of("kind", CredentialKind), name="kind"),)

    prefix: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("client.id"), index=True)
    kind: Mapped[str]
    digest: Mapped[bytes]
    sealed: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Message(Base):
    """A message, and the counters that its status is computed from."""

    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint(one_of("type", MessageType), name="type"),
        Index(None, "client_id", "idempotency_key", unique=True, postgresql_where=text("idempotency_key IS NOT NULL")),
        Index(None, "client_id", "created_at", "id"),
        # What the rules ask about the past: earlier messages of a sender, by attested account or claimed address, and
        # messages that read the same.
        Index(
            "message_sender_account_idx",
            "sender_account_id",
            "id",
            postgresql_where=text("sender_account_id IS NOT NULL"),
        ),
        Index(
            "message_sender_address_idx",
            "client_id",
            text("lower(sender_email)"),
            "id",
            postgresql_where=text("sender_email IS NOT NULL"),
        ),
        Index("message_text_key_idx", "text_key", "created_at", postgresql_where=text("text_key IS NOT NULL")),
        Index(None, "client_id", "status", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("client.id"))
    sender_name: Mapped[str]
    sender_email: Mapped[str | None]
    # The sender's own account, if the client attests it.
    sender_account_id: Mapped[UUID | None]
    subject: Mapped[str]
    body: Mapped[str]
    type: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    decided_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    vetting_id: Mapped[UUID | None]
    # The number of the rule set that judged it. NULL when it was judged without one.
    rule_set: Mapped[int | None] = mapped_column(Integer)
    # A hash of its folded text: messages that read alike have the same. NULL when no rule asked for repetitions.
    text_key: Mapped[int | None] = mapped_column(BigInteger)
    idempotency_key: Mapped[str | None]
    # SHA-256 over the content in canonical form. NULL when no repetition needs to be recognised.
    content_hash: Mapped[bytes | None]
    # How many workers crashed on it, while they decided it or opened its case.
    deaths: Mapped[int] = mapped_column(server_default=text("0"))
    open_count: Mapped[int]
    good_count: Mapped[int]
    # The reduction of rules/status.py in SQL. It always agrees with the counters, and a test compares it with the rule.
    status: Mapped[str] = mapped_column(
        Computed(
            f"CASE WHEN good_count > 0 THEN '{Status.SENT}'"
            f" WHEN open_count > 0 THEN '{Status.PENDING}' ELSE '{Status.REJECTED}' END",
            persisted=True,
        )
    )


class Recipient(Base):
    """One account that a message is for. **This row is the job**; a bell only hints at it.

    `due_at` is when the sweep processes the row: after the bell's grace, at the next attempt, or when a lease or a
    review ends. Final states have none. `attempt` is the fence: only the newest attempt may write an outcome.
    """

    __tablename__ = "recipient"
    __table_args__ = (
        CheckConstraint(one_of("state", State), name="state"),
        CheckConstraint(one_of("channel", Channel), name="channel"),
        CheckConstraint(one_of("reason", Reason), name="reason"),
        CheckConstraint(f"({one_of('state', OPEN_STATES)}) = (due_at IS NOT NULL)", name="due"),
        Index(None, "message_id", "account_id", unique=True),
        # One for each query of the sweep. An open row is in exactly one of them and a settled row in none, so that they
        # are as small as the open work.
        Index("recipient_accepted_idx", "due_at", postgresql_where=text(one_of("state", [State.ACCEPTED]))),
        Index("recipient_held_idx", "due_at", postgresql_where=text(one_of("state", [State.HELD]))),
        Index("recipient_waiting_idx", "channel", "due_at", postgresql_where=text(one_of("state", WAITING_STATES))),
        Index("recipient_claimed_idx", "channel", "due_at", postgresql_where=text(one_of("state", [State.CLAIMED]))),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    # No foreign keys: the statement that inserts the row has joined its message and its account, and neither is ever
    # deleted. Their triggers were 57 % of the cost of storing 25 recipients.
    message_id: Mapped[UUID]
    account_id: Mapped[UUID]
    position: Mapped[int]
    state: Mapped[str] = mapped_column(server_default=State.ACCEPTED)
    channel: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    # It begins with half of the id of the worker that made it (records/pipeline/claims.py).
    claim_token: Mapped[UUID | None]
    # How many crashes of workers were counted against it.
    deaths: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    changed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    possibly_duplicated: Mapped[bool] = mapped_column(server_default=text("false"))


class InboxLetter(Base):
    """A message in an account's in-app inbox. Its primary key makes sure that it is delivered only once."""

    __tablename__ = "inbox_letter"
    __table_args__ = (Index(None, "account_id", "delivered_at", "recipient_id"),)

    recipient_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[UUID]
    message_id: Mapped[UUID]
    delivered_at: Mapped[datetime] = mapped_column(server_default=NOW)


class RefusedSend(Base):
    """A direct send that was not accepted, with all its errors. Its content is not stored."""

    __tablename__ = "refused_send"
    __table_args__ = (Index(None, "refused_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    message_id: Mapped[UUID | None] = mapped_column(index=True)
    client_id: Mapped[UUID | None] = mapped_column(ForeignKey("client.id"))
    faults: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    refused_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Worker(Base):
    """A worker process that is running, or was at `seen_at`.

    While it runs it holds the advisory lock `lock_key`. `trying` has the messages that its sweep is processing. The
    last two columns are NULL while the relay takes its mails.
    """

    __tablename__ = "worker"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(BigInteger)
    queues: Mapped[list[str]] = mapped_column(ARRAY(Text))
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    lock_key: Mapped[int | None] = mapped_column(BigInteger)
    trying: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    died_at: Mapped[datetime | None]
    relay_refused_since: Mapped[datetime | None]
    relay_words: Mapped[str | None]
