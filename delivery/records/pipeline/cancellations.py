"""Cancel what waits of a client: every recipient that is open and that no worker is trying at this moment."""

from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.decision_tables import PENDING
from delivery.records.pipeline.transitions import apply_transitions
from delivery.records.schema_base import one_of
from delivery.rules.transitions import Transition
from delivery.vocabulary import CaseState, State

AT_ONCE = 1000

_FIND = text(f"""
    SELECT recipient.id, recipient.message_id, recipient.state, recipient.attempt
    FROM message JOIN recipient ON recipient.message_id = message.id
    WHERE message.client_id = :client_id AND message.open_count > 0
      AND recipient.due_at IS NOT NULL AND recipient.state <> '{State.CLAIMED}'
    LIMIT :limit
""")
_COUNT_OPEN = text("SELECT coalesce(sum(open_count), 0) FROM message WHERE client_id = :client_id AND open_count > 0")
_CLOSE_CASES = text(f"""
    WITH closed AS (
        UPDATE vetting_case
        SET state = '{CaseState.REJECTED}', decided_at = clock_timestamp(), decided_by = :decided_by,
            version = version + 1
        WHERE {one_of("state", [CaseState.OPEN, CaseState.DECIDED])} AND message_id = ANY(CAST(:message_ids AS uuid[]))
        RETURNING id
    )
    UPDATE case_decision SET undone_at = clock_timestamp(), undone_by = :decided_by
    FROM closed WHERE case_decision.case_id = closed.id AND {PENDING}
""")


def cancel(db: Connection, client_id: UUID, *, detail: str) -> tuple[int, int]:
    """Cancel up to a thousand waiting recipients of a client. Return how many were found, and how many cancelled.

    One that a worker changed meanwhile is left for the next call. `detail` is for operators.
    """
    found = db.execute(_FIND, {"client_id": client_id, "limit": AT_ONCE}).all()
    ends = [
        Transition(row.id, row.message_id, State(row.state), State.CANCELLED, row.attempt, detail=detail)
        for row in found
    ]
    cancelled = apply_transitions(db, ends)
    held = {each.message_id for each in ends if each.before is State.HELD and each.recipient_id in cancelled}
    db.execute(_CLOSE_CASES, {"message_ids": list(held), "decided_by": detail})
    return len(found), len(cancelled)


def count_open(db: Connection, client_id: UUID) -> int:
    """Return how many recipients of a client are open, those that a worker is trying included."""
    return int(db.scalar(_COUNT_OPEN, {"client_id": client_id}) or 0)
