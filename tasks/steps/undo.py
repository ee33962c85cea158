"""Undo a decision about a vetting case before it takes effect."""

from contextlib import suppress
from uuid import UUID

import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import Transaction, transaction
from delivery.records.vetting import audit, decisions, groups
from delivery.records.vetting.decisions import DecisionView, LockedCase
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.rules.case_decisions import Actor, NotUndone, OwnMessage
from tasks.context import StepContext

_log = structlog.get_logger()


def undo_decision(context: StepContext, case_id: UUID, actor: Actor, *, decision_id: UUID | None = None) -> None:
    """Undo the decision of a case whose pause is not over. The case is open again, and nothing has left.

    With a `decision_id`, undo no other one. Raises `NotUndone` when it was applied or undone before, or `OwnMessage`.
    """
    with transaction(context.database) as db:
        case = decisions.lock_case(db, case_id)
        if case is not None:
            case.refuse_own(actor)
        undone = None if case is None else decisions.undo(db, case, undone_by=actor.name, decision_id=decision_id)
        if undone is None:
            raise NotUndone(_why_not(db, case, decision_id))
        subjects = (str(case_id), str(undone.decision_id))
        entry = AuditEntry(AuditKind.DECISION_UNDONE, actor.actor_id, subjects, details={"name": actor.name})
        audit.append(db, context.settings.audit_key, entry)
        crash_here(CrashPoint.UNDO_WRITTEN)
    crash_here(CrashPoint.UNDO_COMMITTED)
    _log.info("vetting_decision_undone", case_id=str(case_id), decision_id=str(undone.decision_id))


def undo_batch(context: StepContext, batch_id: UUID, actor: Actor) -> tuple[int, int]:
    """Undo the decisions of a batch whose pause is not over. Return how many were undone, and how many were not.

    Raises `NotUndone` when there is no such bulk decision.
    """
    with transaction(context.database) as db:
        made = groups.decisions_of_batch(db, batch_id)
    if not made:
        raise NotUndone("There is no bulk decision with this id.")
    undone = 0
    for case_id, decision_id in made:
        with suppress(NotUndone, OwnMessage):
            undo_decision(context, case_id, actor, decision_id=decision_id)
            undone += 1
    facts = {"undone": undone, "too_late": len(made) - undone}
    with transaction(context.database) as db:
        entry = AuditEntry(AuditKind.BATCH_UNDONE, actor.actor_id, (str(batch_id),), facts)
        audit.append(db, context.settings.audit_key, entry)
    return undone, len(made) - undone


def _why_not(db: Transaction, case: LockedCase | None, decision_id: UUID | None) -> str:
    if case is None:
        return "There is no vetting case with this id. `postroom vetting list` shows those that wait."
    made = [each for each in decisions.of_case(db, case.case_id) if decision_id in {None, each.decision_id}]
    return _end_of(made[-1]) if made else "There is no decision to undo."


def _end_of(last: DecisionView) -> str:
    if last.undone_at is not None:
        return f"This decision was undone by {last.undone_by} at {last.undone_at:%Y-%m-%d %H:%M:%S} UTC."
    return f"This decision took effect at {last.applied_at:%Y-%m-%d %H:%M:%S} UTC and cannot be undone any more."
