"""Standing decisions: one text from one sender passes, or is refused, until an end. They are listed and revocable."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, text
from uuid_utils.compat import uuid7

from delivery.detection.folding import fold, text_key
from delivery.rules.case_decisions import Actor, ActorKind, CaseDecision, CaseVerdict, StandingDecision


@dataclass(frozen=True, slots=True)
class StandingView:
    """A stored standing decision."""

    standing_id: UUID
    case_id: UUID
    verdict: CaseVerdict
    reason: str | None
    sentence: str | None
    actor_kind: ActorKind
    actor_id: str
    actor_name: str
    sender_account_id: UUID | None
    sender_email: str | None
    made_at: datetime
    ends_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    uses: int

    @property
    def as_decision(self) -> CaseDecision:
        """The decision about a case that follows from it, by the person who made it."""
        actor = Actor(self.actor_kind, self.actor_id, self.actor_name)
        note = f"Standing decision {self.standing_id}"
        return CaseDecision(self.verdict, actor, reason=self.reason, sentence=self.sentence, note=note)


_CASE = text("""
    SELECT subject, body, client_id, sender_account_id, sender_email FROM message
    WHERE id = (SELECT message_id FROM vetting_case WHERE id = :case_id)
""")
_ADD = text("""
    INSERT INTO standing_decision (id, client_id, sender_account_id, sender_email, text_key, case_id, verdict, reason,
                                   sentence, actor_kind, actor_id, actor_name, ends_at)
    VALUES (:standing_id, :client_id, :sender_account_id, :sender_email, :text_key, :case_id, :verdict, :reason,
            :sentence, :actor_kind, :actor_id, :actor_name, clock_timestamp() + :lasts)
""")


def add(db: Connection, standing: StandingDecision) -> UUID | None:
    """Store a standing decision about the text and the sender of a case, and return its id.

    None when there is no such case, or when its message names no sender by account or address.
    """
    row = db.execute(_CASE, {"case_id": standing.case_id}).one_or_none()
    if row is None or (row.sender_account_id is None and not row.sender_email):
        return None
    standing_id: UUID = uuid7()
    actor = standing.actor
    values = {
        "standing_id": standing_id,
        "client_id": row.client_id,
        "sender_account_id": row.sender_account_id,
        "sender_email": None if row.sender_account_id else row.sender_email.lower(),
        "text_key": _key(row.subject, row.body),
        "case_id": standing.case_id,
        "verdict": standing.verdict,
        "reason": standing.reason,
        "sentence": standing.sentence,
        "actor_kind": actor.kind,
        "actor_id": actor.actor_id,
        "actor_name": actor.name,
        "lasts": standing.lasts,
    }
    db.execute(_ADD, values)
    return standing_id


_FIND = text("""
    UPDATE standing_decision SET uses = uses + 1 WHERE id = (
        SELECT standing_decision.id FROM standing_decision
        JOIN vetting_case ON vetting_case.id = :case_id JOIN message ON message.id = vetting_case.message_id
        WHERE standing_decision.text_key = :text_key AND standing_decision.ends_at > clock_timestamp()
          AND standing_decision.revoked_at IS NULL
          AND (standing_decision.sender_account_id = message.sender_account_id
               OR message.sender_account_id IS NULL AND standing_decision.client_id = message.client_id
               AND standing_decision.sender_email = lower(message.sender_email))
        ORDER BY made_at DESC LIMIT 1
    )
    RETURNING *
""")
_LIST = text("""
    SELECT * FROM standing_decision WHERE :is_everything OR revoked_at IS NULL AND ends_at > clock_timestamp()
    ORDER BY made_at DESC LIMIT :limit
""")
_REVOKE = text("""
    UPDATE standing_decision SET revoked_at = clock_timestamp(), revoked_by = :revoked_by
    WHERE id = :standing_id AND revoked_at IS NULL AND ends_at > clock_timestamp()
    RETURNING *
""")


def use(db: Connection, case_id: UUID, subject: str, body: str) -> StandingView | None:
    """Return the newest standing decision that is for this case with this text, and count its use; None without one."""
    row = db.execute(_FIND, {"case_id": case_id, "text_key": _key(subject, body)}).one_or_none()
    return None if row is None else _view(row)


def standing_decisions(db: Connection, *, is_everything: bool = False, limit: int = 100) -> list[StandingView]:
    """Return the standing decisions in force, newest first; with `is_everything`, also ended and revoked ones."""
    return [_view(row) for row in db.execute(_LIST, {"is_everything": is_everything, "limit": limit})]


def revoke(db: Connection, standing_id: UUID, *, revoked_by: str) -> StandingView | None:
    """Revoke a standing decision and return it; None when none with this id is in force."""
    row = db.execute(_REVOKE, {"standing_id": standing_id, "revoked_by": revoked_by}).one_or_none()
    return None if row is None else _view(row)


def _key(subject: str, body: str) -> int:
    return text_key(fold(f"{subject}\n{body}"))


def _view(row: Row[tuple[object, ...]]) -> StandingView:
    return StandingView(
        standing_id=row.id,
        case_id=row.case_id,
        verdict=CaseVerdict(row.verdict),
        reason=row.reason,
        sentence=row.sentence,
        actor_kind=ActorKind(row.actor_kind),
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        sender_account_id=row.sender_account_id,
        sender_email=row.sender_email,
        made_at=row.made_at,
        ends_at=row.ends_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        uses=row.uses,
    )
