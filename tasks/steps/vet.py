"""Open a vetting case for each held message, and start the time that staff have to decide it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import Transaction, transaction
from delivery.records.pipeline import vetting_cases
from delivery.records.pipeline.vetting_cases import HeldMessage
from delivery.records.rule_sets import hits
from delivery.records.vetting import audit, decisions, standing
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.rules.vetting import find_reasons
from tasks.context import StepContext

_log = structlog.get_logger()


def vet(context: StepContext, message_ids: Sequence[UUID]) -> None:
    """Open a case for each of these messages that is held and has none. Safe to run twice: a message has one case."""
    hold = timedelta(days=context.settings.hold_days)
    review = timedelta(minutes=context.settings.review_minutes)
    with transaction(context.database) as db:
        unopened = vetting_cases.lock_unopened(db, message_ids)
        found = hits.findings(db, [held.message_id for held in unopened])
        for held in unopened:
            reasons = (*find_reasons(held.texts, context.settings.hold_rule), *found.get(held.message_id, ()))
            vetting_cases.open_case(db, held, reasons, hold=hold, review=review)
        entries = [entry for held in unopened if (entry := _use_standing(db, held))]
        audit.append(db, context.settings.audit_key, *entries)
        crash_here(CrashPoint.VET_WRITTEN)
    crash_here(CrashPoint.VET_COMMITTED)
    for held in unopened:
        _log.info("vetting_case_opened", message_id=str(held.message_id), case_id=str(held.vetting_id))


def _use_standing(db: Transaction, held: HeldMessage) -> AuditEntry | None:
    """Decide a case that was just opened if a standing decision is for it; the sweep applies that within a second."""
    found = standing.use(db, held.vetting_id, held.texts["subject"], held.texts["body"])
    case = decisions.lock_case(db, held.vetting_id) if found else None
    if found is None or case is None or case.is_own(found.as_decision.actor):
        return None
    decision_id = decisions.add(db, case, found.as_decision, is_left_to_sweep=True)
    subjects = (str(found.standing_id), str(case.case_id), str(case.message_id), str(decision_id))
    return AuditEntry(AuditKind.STANDING_USED, found.actor_id, subjects, {"verdict": found.verdict})
