"""Claim a case, write a note about it, ask a colleague, escalate or skip it. Each leaves an audit entry."""

from uuid import UUID

from delivery.records.database import Transaction, transaction
from delivery.records.vetting import audit, case_work
from delivery.records.vetting.case_work import ClaimView
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.rules.case_decisions import Actor, CaseNote, CaseNotOpen, NoteKind
from tasks.context import StepContext

_KINDS = {
    NoteKind.NOTE: AuditKind.CASE_NOTED,
    NoteKind.QUESTION: AuditKind.CASE_NOTED,
    NoteKind.ESCALATION: AuditKind.CASE_ESCALATED,
}


def claim_case(context: StepContext, case_id: UUID, actor: Actor, *, is_renewal: bool = False) -> list[ClaimView]:
    """Claim a case for two minutes and return who else looks at it. A renewal leaves no audit entry."""
    with transaction(context.database) as db:
        others = case_work.claim(db, case_id, actor)
        if not is_renewal:
            _append(context, db, AuditKind.CASE_CLAIMED, actor, case_id)
    return others


def note_case(context: StepContext, case_id: UUID, note: CaseNote) -> None:
    """Store a note, a question to a colleague, or an escalation, which also marks the case.

    Raises `CaseNotOpen` when there is no such case, or when a case to escalate is not open.
    """
    with transaction(context.database) as db:
        is_known = note.kind is not NoteKind.ESCALATION or case_work.escalate(db, case_id)
        if not is_known or case_work.add_note(db, case_id, note) is None:
            raise CaseNotOpen("There is no such vetting case, or it is not open any more.")
        details = {"content": note.content, "name": note.actor.name}
        facts = {"kind": note.kind, **({"asked": note.asked_id} if note.asked_id else {})}
        entry = AuditEntry(_KINDS[note.kind], note.actor.actor_id, (str(case_id),), facts, details)
        audit.append(db, context.settings.audit_key, entry)


def skip_case(context: StepContext, case_id: UUID, actor: Actor) -> None:
    """Leave a case out of this person's queue. Raises `CaseNotOpen` when there is no such case."""
    with transaction(context.database) as db:
        if not case_work.skip(db, case_id, actor.actor_id):
            raise CaseNotOpen("There is no such vetting case.")
        case_work.end_claim(db, case_id, actor.actor_id)
        _append(context, db, AuditKind.CASE_SKIPPED, actor, case_id)


def _append(context: StepContext, db: Transaction, kind: AuditKind, actor: Actor, case_id: UUID) -> None:
    entry = AuditEntry(kind, actor.actor_id, (str(case_id),), details={"name": actor.name})
    audit.append(db, context.settings.audit_key, entry)
