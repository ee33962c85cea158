"""Make and revoke standing decisions. The step `vet` uses them when it opens a case."""

from uuid import UUID

from delivery.records.database import Transaction, transaction
from delivery.records.vetting import audit, decisions, standing
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.rules.case_decisions import Actor, CaseNotOpen, NotUndone, StandingDecision
from tasks.context import StepContext


def make_standing(context: StepContext, made: StandingDecision) -> UUID:
    """Store a standing decision about the text and the sender of a case, and return its id. The case stays as it is.

    Raises `CaseNotOpen` when there is no such case or its message names no sender, or `OwnMessage`.
    """
    with transaction(context.database) as db:
        _check_actor(db, made)
        standing_id = standing.add(db, made)
        if standing_id is None:
            raise CaseNotOpen("Its message names no sender by account or address, so no other message can be of it.")
        facts = {"verdict": made.verdict, "lasts_s": made.lasts.total_seconds(), "reason": made.reason}
        details = {"name": made.actor.name, "sentence": made.sentence}
        subjects = (str(standing_id), str(made.case_id))
        entry = AuditEntry(AuditKind.STANDING_MADE, made.actor.actor_id, subjects, facts, details)
        audit.append(db, context.settings.audit_key, entry)
    return standing_id


def revoke_standing(context: StepContext, standing_id: UUID, actor: Actor) -> None:
    """Revoke a standing decision. What it has decided stays. Raises `NotUndone` when none with this id is in force."""
    with transaction(context.database) as db:
        revoked = standing.revoke(db, standing_id, revoked_by=actor.name)
        if revoked is None:
            raise NotUndone("No standing decision with this id is in force.")
        details = {"name": actor.name}
        entry = AuditEntry(AuditKind.STANDING_REVOKED, actor.actor_id, (str(standing_id),), details=details)
        audit.append(db, context.settings.audit_key, entry)


def _check_actor(db: Transaction, made: StandingDecision) -> None:
    case = decisions.lock_case(db, made.case_id)
    if case is None:
        raise CaseNotOpen("There is no vetting case with this id.")
    case.refuse_own(made.actor)
