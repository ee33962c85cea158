"""What staff do with a case before they decide it: claim it, write notes, ask a colleague, escalate and skip it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from delivery.rules.case_decisions import Actor, CaseNote, NoteKind
from delivery.vocabulary import CaseState

CLAIM_LASTS = timedelta(minutes=2)
MOST_CLAIMS = 3
"""How many cases one person can have claimed. Another claim ends the oldest."""


@dataclass(frozen=True, slots=True)
class ClaimView:
    """Who looks at a case, and until when unless the claim is renewed."""

    case_id: UUID
    actor_id: str
    actor_name: str
    claimed_at: datetime
    ends_at: datetime


_CLAIM = text("""
    INSERT INTO case_claim (case_id, actor_id, actor_name, ends_at)
    SELECT id, :actor_id, :actor_name, clock_timestamp() + :lasts FROM vetting_case WHERE id = :case_id
    ON CONFLICT (case_id, actor_id) DO UPDATE
    SET claimed_at = CASE WHEN case_claim.ends_at < clock_timestamp() THEN clock_timestamp()
                          ELSE case_claim.claimed_at END,
        actor_name = excluded.actor_name, ends_at = excluded.ends_at
""")
_END_OLDEST = text("""
    DELETE FROM case_claim WHERE actor_id = :actor_id AND case_id <> :case_id AND case_id NOT IN (
        SELECT case_id FROM case_claim
        WHERE actor_id = :actor_id AND case_id <> :case_id AND ends_at > clock_timestamp()
        ORDER BY claimed_at DESC LIMIT :others
    )
""")
_CLAIMS = text("""
    SELECT case_id, actor_id, actor_name, claimed_at, ends_at FROM case_claim
    WHERE case_id = ANY(CAST(:case_ids AS uuid[])) AND ends_at > clock_timestamp()
    ORDER BY claimed_at
""")
_END = text("DELETE FROM case_claim WHERE case_id = :case_id AND actor_id = :actor_id")


def claim(db: Connection, case_id: UUID, actor: Actor) -> list[ClaimView]:
    """Claim a case for two minutes, or renew the claim. Return who else looks at it.

    A person has at most three claims: another one ends the oldest. A case that does not exist is not claimed.
    """
    who = {"case_id": case_id, "actor_id": actor.actor_id}
    db.execute(_CLAIM, {**who, "actor_name": actor.name, "lasts": CLAIM_LASTS})
    db.execute(_END_OLDEST, {**who, "others": MOST_CLAIMS - 1})
    return [each for each in claims(db, [case_id]) if each.actor_id != actor.actor_id]


def claims(db: Connection, case_ids: Sequence[UUID]) -> list[ClaimView]:
    """Return who looks at these cases, oldest claim first."""
    return [ClaimView(*row) for row in db.execute(_CLAIMS, {"case_ids": list(case_ids)})]


def end_claim(db: Connection, case_id: UUID, actor_id: str) -> None:
    """End the claim of this person, if there is one."""
    db.execute(_END, {"case_id": case_id, "actor_id": actor_id})


@dataclass(frozen=True, slots=True)
class NoteView:
    """A stored note, with whom it asks."""

    note_id: UUID
    case_id: UUID
    kind: NoteKind
    actor_id: str
    actor_name: str
    asked_id: str | None
    content: str
    made_at: datetime


_ADD_NOTE = text("""
    INSERT INTO case_note (id, case_id, kind, actor_id, actor_name, asked_id, content)
    SELECT :note_id, id, :kind, :actor_id, :actor_name, :asked_id, :content FROM vetting_case WHERE id = :case_id
    RETURNING id
""")
_NOTE = "SELECT id, case_id, kind, actor_id, actor_name, asked_id, content, made_at FROM case_note"
_NOTES = text(f"{_NOTE} WHERE case_id = :case_id ORDER BY made_at, id")
_QUESTIONS = text(f"""
    {_NOTE} WHERE asked_id = :actor_id
      AND EXISTS (SELECT FROM vetting_case WHERE vetting_case.id = case_id AND state = '{CaseState.OPEN}')
    ORDER BY made_at DESC LIMIT :limit
""")
_ESCALATE = text(f"""
    UPDATE vetting_case SET escalated_at = coalesce(escalated_at, clock_timestamp()), version = version + 1
    WHERE id = :case_id AND state = '{CaseState.OPEN}'
    RETURNING id
""")
_SKIP = text("""
    INSERT INTO case_skip (actor_id, case_id) SELECT :actor_id, id FROM vetting_case WHERE id = :case_id
    ON CONFLICT (actor_id, case_id) DO UPDATE SET skipped_at = clock_timestamp()
    RETURNING case_id
""")
_SKIPPED = text(f"""
    SELECT case_id FROM case_skip JOIN vetting_case ON vetting_case.id = case_id AND state = '{CaseState.OPEN}'
    WHERE actor_id = :actor_id ORDER BY skipped_at
""")
_UNSKIP = text("DELETE FROM case_skip WHERE actor_id = :actor_id")


def add_note(db: Connection, case_id: UUID, note: CaseNote) -> UUID | None:
    """Store a note about a case and return its id; None when there is no such case."""
    values = {
        "note_id": uuid7(),
        "case_id": case_id,
        "kind": note.kind,
        "actor_id": note.actor.actor_id,
        "actor_name": note.actor.name,
        "asked_id": note.asked_id,
        "content": note.content,
    }
    added: UUID | None = db.scalar(_ADD_NOTE, values)
    return added


def notes(db: Connection, case_id: UUID) -> list[NoteView]:
    """Return the notes about a case, oldest first."""
    return [_note(*row) for row in db.execute(_NOTES, {"case_id": case_id})]


def questions_for(db: Connection, actor_id: str, limit: int = 50) -> list[NoteView]:
    """Return the questions to this person about cases that are still open, newest first."""
    return [_note(*row) for row in db.execute(_QUESTIONS, {"actor_id": actor_id, "limit": limit})]


def _note(note_id: UUID, case_id: UUID, kind: str, *others: object) -> NoteView:
    return NoteView(note_id, case_id, NoteKind(kind), *others)  # type: ignore[arg-type] # the columns of the statement


def escalate(db: Connection, case_id: UUID) -> bool:
    """Mark an open case as escalated. Return whether there is such a case."""
    return db.scalar(_ESCALATE, {"case_id": case_id}) is not None


def skip(db: Connection, case_id: UUID, actor_id: str) -> bool:
    """Record that this person skips a case. Return whether there is such a case."""
    return db.scalar(_SKIP, {"case_id": case_id, "actor_id": actor_id}) is not None


def skipped_by(db: Connection, actor_id: str) -> list[UUID]:
    """Return the open cases that this person skips, the longest ago first."""
    return list(db.scalars(_SKIPPED, {"actor_id": actor_id}))


def end_skips(db: Connection, actor_id: str) -> None:
    """Let this person see all skipped cases again."""
    db.execute(_UNSKIP, {"actor_id": actor_id})
