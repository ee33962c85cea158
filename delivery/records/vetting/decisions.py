"""Decisions about vetting cases: store one, apply it when its pause is over, or undo it before.

Every function here locks the message first, as all statements on its recipients do. So of two that are about one case
at the same time, the second sees what the first has done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, text
from uuid_utils.compat import uuid7

from delivery.records.decision_tables import PENDING
from delivery.records.schema import STATE_APART
from delivery.rules.case_decisions import Actor, ActorKind, CaseDecision, CaseVerdict, OwnMessage, closing_state, is_of
from delivery.vocabulary import CaseState, State


@dataclass(frozen=True, slots=True)
class LockedCase:
    """A case whose message is locked until the transaction ends, with what a decision about it is checked against."""

    case_id: UUID
    message_id: UUID
    state: CaseState
    version: int
    client_id: UUID
    """The client that sent the message."""
    sender_account_id: UUID | None
    sender_email: str | None
    accounts: dict[UUID, str]
    """The address of each recipient, by its account."""
    held: frozenset[UUID]
    """The accounts whose recipients are held."""

    def is_own(self, actor: Actor) -> bool:
        """Check whether the actor sent the message, as a client or as a member, or received it."""
        if actor.kind is ActorKind.CLIENT and actor.actor_id == str(self.client_id):
            return True
        accounts = {self.sender_account_id, *self.accounts}
        return is_of(actor, accounts, [self.sender_email, *self.accounts.values()])

    def refuse_own(self, actor: Actor) -> None:
        """Raise `OwnMessage` when the actor sent or received the message."""
        if self.is_own(actor):
            raise OwnMessage("You sent or received this message, so another person has to decide about it.")


_LOCK_MESSAGE = text("""
    SELECT id FROM message WHERE id = (SELECT message_id FROM vetting_case WHERE id = :case_id) FOR NO KEY UPDATE
""")
_READ_CASE = text("""
    SELECT vetting_case.id, message_id, state, version, client_id, sender_account_id, sender_email
    FROM vetting_case JOIN message ON message.id = vetting_case.message_id
    WHERE vetting_case.id = :case_id FOR NO KEY UPDATE OF vetting_case
""")
_ACCOUNTS = text("""
    SELECT recipient.account_id, account.email, recipient.state
    FROM recipient JOIN account ON account.id = recipient.account_id
    WHERE recipient.message_id = :message_id ORDER BY recipient.position
""")


def lock_case(db: Connection, case_id: UUID) -> LockedCase | None:
    """Lock a case with its message until the transaction ends; None when there is no such case."""
    db.execute(_LOCK_MESSAGE, {"case_id": case_id})
    row = db.execute(_READ_CASE, {"case_id": case_id}).one_or_none()
    if row is None:
        return None
    recipients = db.execute(_ACCOUNTS, {"message_id": row.message_id}).all()
    return LockedCase(
        case_id=row.id,
        message_id=row.message_id,
        state=CaseState(row.state),
        version=row.version,
        client_id=row.client_id,
        sender_account_id=row.sender_account_id,
        sender_email=row.sender_email,
        accounts={each.account_id: each.email for each in recipients},
        held=frozenset(each.account_id for each in recipients if each.state == State.HELD),
    )


_ADD = text(f"""
    WITH decided AS (
        UPDATE vetting_case
        SET state = '{CaseState.DECIDED}', version = version + 1, decided_at = clock_timestamp(),
            decided_by = :actor_name, note = :note, released_with = :released_with
        WHERE id = :case_id AND state = '{CaseState.OPEN}' AND version = :version
        RETURNING id, decided_at
    )
    INSERT INTO case_decision (id, case_id, case_version, verdict, only_accounts, reason, sentence, note, actor_kind,
                               actor_id, actor_name, batch_id, decided_at, effective_at)
    SELECT :decision_id, decided.id, :version, :verdict, CAST(:only AS uuid[]), :reason, :sentence, :note, :actor_kind,
           :actor_id, :actor_name, :batch_id, decided.decided_at, decided.decided_at + :pause
    FROM decided
    RETURNING effective_at
""")
_WAIT = text(f"""
    UPDATE recipient SET due_at = :effective_at
    WHERE message_id = :message_id AND {STATE_APART} = '{State.HELD}'
      AND (CAST(:only AS uuid[]) IS NULL OR account_id = ANY(CAST(:only AS uuid[])))
""")


def add(db: Connection, case: LockedCase, decision: CaseDecision, *, is_left_to_sweep: bool = False) -> UUID:
    """Store a decision about a locked case that is open. Its recipients stay held, and are due when it takes effect.

    Without a pause the caller applies it, unless it `is_left_to_sweep`. Returns the id of the decision.
    """
    decision_id: UUID = uuid7()
    only = list(decision.only) if decision.only is not None else None
    actor = decision.actor
    values = {
        "decision_id": decision_id,
        "case_id": case.case_id,
        "version": case.version,
        "verdict": decision.verdict,
        "only": only,
        "reason": decision.reason,
        "sentence": decision.sentence,
        "note": decision.note,
        "actor_kind": actor.kind,
        "actor_id": actor.actor_id,
        "actor_name": actor.name,
        "batch_id": decision.batch_id,
        "released_with": decision.released_with,
        "pause": decision.pause,
    }
    effective_at = db.execute(_ADD, values).scalar_one()
    if decision.pause or is_left_to_sweep:
        db.execute(_WAIT, {"message_id": case.message_id, "only": only, "effective_at": effective_at})
    return decision_id


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A stored decision. Without `applied_at` and `undone_at` it waits for `effective_at`."""

    decision_id: UUID
    case_id: UUID
    case_version: int
    verdict: CaseVerdict
    only: tuple[UUID, ...] | None
    reason: str | None
    sentence: str | None
    note: str | None
    actor_kind: ActorKind
    actor_id: str
    actor_name: str
    batch_id: UUID | None
    decided_at: datetime
    effective_at: datetime
    applied_at: datetime | None
    undone_at: datetime | None
    undone_by: str | None

    @property
    def is_pending(self) -> bool:
        """Whether it can still be undone."""
        return self.applied_at is None and self.undone_at is None

    def concerns(self, account_id: UUID) -> bool:
        """Whether the decision is for this account."""
        return self.only is None or account_id in self.only


_BEGIN = text(f"""
    UPDATE case_decision SET applied_at = clock_timestamp()
    WHERE case_id = :case_id AND {PENDING} AND effective_at <= clock_timestamp()
    RETURNING *
""")


def begin_applying(db: Connection, case: LockedCase) -> DecisionView | None:
    """Mark the pending decision of a locked case as applied, and return it; None unless its pause is over."""
    row = db.execute(_BEGIN, {"case_id": case.case_id}).one_or_none()
    return None if row is None else _view(row)


_VERDICTS = text("SELECT DISTINCT verdict FROM case_decision WHERE case_id = :case_id AND applied_at IS NOT NULL")
_CLOSE = text("UPDATE vetting_case SET state = :state, version = version + 1 WHERE id = :case_id")
_REOPEN = text(f"""
    UPDATE vetting_case
    SET state = '{CaseState.OPEN}', version = version + 1, decided_at = NULL, decided_by = NULL, note = NULL,
        released_with = NULL
    WHERE id = :case_id
""")


def finish_applying(db: Connection, case: LockedCase, *, still_held: int) -> CaseState:
    """Close a locked case whose decision was applied, or open it again for the recipients that are still held."""
    if still_held:
        db.execute(_REOPEN, {"case_id": case.case_id})
        return CaseState.OPEN
    verdicts = [CaseVerdict(each) for each in db.scalars(_VERDICTS, {"case_id": case.case_id})]
    state = closing_state(verdicts)
    db.execute(_CLOSE, {"case_id": case.case_id, "state": state})
    return state


_UNDO = text(f"""
    UPDATE case_decision SET undone_at = clock_timestamp(), undone_by = :undone_by
    WHERE case_id = :case_id AND {PENDING}
      AND (CAST(:decision_id AS uuid) IS NULL OR id = CAST(:decision_id AS uuid))
    RETURNING *
""")
_HOLD_AGAIN = text(f"""
    UPDATE recipient SET due_at = vetting_case.expires_at FROM vetting_case
    WHERE vetting_case.id = :case_id AND recipient.message_id = :message_id
      AND {STATE_APART} = '{State.HELD}'
""")


def undo(db: Connection, case: LockedCase, *, undone_by: str, decision_id: UUID | None = None) -> DecisionView | None:
    """Undo the pending decision of a locked case, and open the case again. None when no decision is pending.

    With a `decision_id`, undo no other one.
    """
    values = {"case_id": case.case_id, "undone_by": undone_by, "decision_id": decision_id}
    row = db.execute(_UNDO, values).one_or_none()
    if row is None:
        return None
    db.execute(_REOPEN, {"case_id": case.case_id})
    db.execute(_HOLD_AGAIN, {"case_id": case.case_id, "message_id": case.message_id})
    return _view(row)


_OF_CASE = text("SELECT * FROM case_decision WHERE case_id = :case_id ORDER BY decided_at, id")
_WAITING = text("""
    SELECT vetting_case.id FROM vetting_case
    WHERE message_id = ANY(CAST(:message_ids AS uuid[])) AND state = :state
    ORDER BY id
""")


def of_case(db: Connection, case_id: UUID) -> list[DecisionView]:
    """Return all decisions about a case, oldest first."""
    return [_view(row) for row in db.execute(_OF_CASE, {"case_id": case_id})]


def decided_cases(db: Connection, message_ids: Sequence[UUID]) -> list[UUID]:
    """Return the cases of these messages that are decided and not yet closed."""
    values = {"message_ids": list(message_ids), "state": CaseState.DECIDED}
    return list(db.scalars(_WAITING, values))


def _view(row: Row[tuple[object, ...]]) -> DecisionView:
    return DecisionView(
        decision_id=row.id,
        case_id=row.case_id,
        case_version=row.case_version,
        verdict=CaseVerdict(row.verdict),
        only=None if row.only_accounts is None else tuple(row.only_accounts),
        reason=row.reason,
        sentence=row.sentence,
        note=row.note,
        actor_kind=ActorKind(row.actor_kind),
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        batch_id=row.batch_id,
        decided_at=row.decided_at,
        effective_at=row.effective_at,
        applied_at=row.applied_at,
        undone_at=row.undone_at,
        undone_by=row.undone_by,
    )
