"""Decide vetting cases: staff approve or reject a held message for all or some recipients, or its review expires.

A decision with a pause is stored first and applied by the sweep when the pause is over; another one is applied in the
same transaction. An approved message is not checked against the vetting rules again, but against preferences and
limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from delivery.crash_points import CrashPoint, crash_here
from delivery.logs.security import write_line
from delivery.records.database import DATABASE_UNAVAILABLE, Transaction, is_lock_timeout, transaction
from delivery.records.identities.security_events import SecurityEvent, record
from delivery.records.pipeline import candidates, transitions, vetting_cases
from delivery.records.vetting import audit, decisions
from delivery.records.vetting.decisions import DecisionView, LockedCase
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.rules.case_decisions import (
    CLOCK,
    REFUSALS,
    ActorKind,
    CaseChanged,
    CaseDecision,
    CaseNotOpen,
    CaseVerdict,
    DecisionRefused,
    InvalidDecision,
)
from delivery.rules.same_mailbox import let_follow
from delivery.rules.transitions import PendingRecipient, Transition, decide_recipient, refuse
from delivery.vocabulary import CaseState, RuleVerdict, SecurityEventKind, State
from tasks.broker.doorbell import ring_for_deliveries
from tasks.context import StepContext

_log = structlog.get_logger()
_TYPED_ABOVE = 50
_EVENTS = {CaseVerdict.APPROVE: SecurityEventKind.CASE_APPROVED, CaseVerdict.REJECT: SecurityEventKind.CASE_REJECTED}


def decide_case(context: StepContext, case_id: UUID, decision: CaseDecision) -> UUID:
    """Decide an open case, and return the id of the decision. Without a pause it is applied at once.

    On approval preferences are checked again, so an opt-out during the review counts.

    Raises `CaseNotOpen` when the case does not exist or is decided already, `CaseChanged` when it has another version
    than the decision, `OwnMessage`, or `InvalidDecision` for recipients that are not held. Then nothing changes.
    """
    if decision.reason not in {None, *context.settings.reasons}:
        raise InvalidDecision(f"The reason has to be one of: {', '.join(context.settings.reasons)}.")
    with transaction(context.database) as db:
        case = _check(db, decisions.lock_case(db, case_id), decision)
        decision_id = decisions.add(db, case, decision)
        _record_event(db, case_id, decision)
        crash_here(CrashPoint.RULE_CLOSED)
        decided = [] if decision.pause else _apply(context, db, case)
        audit.append(db, context.settings.audit_key, _entry(case, decision_id, decision))
        crash_here(CrashPoint.RULE_WRITTEN)
    crash_here(CrashPoint.RULE_COMMITTED)
    ring_for_deliveries(context.doorbell, decided)
    _log.info("vetting_case_decided", case_id=str(case_id), verdict=decision.verdict, pause_s=decision.pause.seconds)
    if decision.verdict in _EVENTS:
        write_line(_EVENTS[decision.verdict], case_id=str(case_id), actor=decision.actor.actor_id)
    return decision_id


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of a bulk decision: how many cases it decided, and why it did not decide the others."""

    batch_id: UUID
    decided: int
    refused: dict[UUID, str]


def decide_batch(
    context: StepContext, cases: Sequence[tuple[UUID, int]], decision: CaseDecision, *, typed_count: int | None = None
) -> BulkResult:
    """Decide these cases (id and version) alike, each in a transaction of its own, as one batch that can be undone.

    A case that changed since the preview is left out. Raises `InvalidDecision` when there are more than 50 cases and
    `typed_count`, the number that a person has typed, is not theirs.
    """
    if len(cases) > _TYPED_ABOVE and typed_count != len(cases):
        raise InvalidDecision(f"Type the number of cases, {len(cases)}, to decide all of them.")
    batch_id: UUID = uuid7()
    refused: dict[UUID, str] = {}
    for case_id, version in cases:
        try:
            decide_case(context, case_id, replace(decision, version=version, batch_id=batch_id))
        except DecisionRefused as error:
            refused[case_id] = str(error)
        except DATABASE_UNAVAILABLE as error:
            # One case that is locked must not end the batch between two cases.
            if not is_lock_timeout(error):
                raise
            refused[case_id] = "Another request is changing this case."
    facts = {"verdict": decision.verdict, "cases": len(cases), "decided": len(cases) - len(refused)}
    entry = AuditEntry(AuditKind.BATCH_DECIDED, decision.actor.actor_id, (str(batch_id),), facts)
    with transaction(context.database) as db:
        audit.append(db, context.settings.audit_key, entry)
    return BulkResult(batch_id, len(cases) - len(refused), refused)


def apply_decisions(context: StepContext, message_ids: Sequence[UUID]) -> None:
    """Apply the decisions about these messages whose pause is over.

    Safe to run twice: a decision that was applied or undone meanwhile is left as it is.
    """
    with transaction(context.database) as db:
        decided_cases = decisions.decided_cases(db, message_ids)
    for case_id in decided_cases:
        with transaction(context.database) as db:
            case = decisions.lock_case(db, case_id)
            decided = [] if case is None else _apply(context, db, case)
            crash_here(CrashPoint.APPLY_WRITTEN)
        crash_here(CrashPoint.APPLY_COMMITTED)
        ring_for_deliveries(context.doorbell, decided)
        _log.info("vetting_decision_applied", case_id=str(case_id), recipients=len(decided))


def expire_reviews(context: StepContext, message_ids: Sequence[UUID]) -> None:
    """End the reviews of these messages that staff did not finish in time: the setting `expiry_action` says how.

    Safe to run twice: a case that was decided meanwhile stays as it is.
    """
    action = context.settings.expiry_action
    with transaction(context.database) as db:
        overdue = vetting_cases.overdue(db, message_ids)
    verdict = CaseVerdict.APPROVE if action == "deliver" else CaseVerdict.EXPIRE
    for case_id in overdue:
        try:
            if action == "keep":
                _keep(context, case_id)
            else:
                decide_case(context, case_id, CaseDecision(verdict, CLOCK))
        except CaseNotOpen:
            _log.debug("vetting_case_decided_before_it_expired", case_id=str(case_id))


def _keep(context: StepContext, case_id: UUID) -> None:
    """Keep a case open for another `hold_days`, and escalate it. Raises `CaseNotOpen` when it was decided."""
    with transaction(context.database) as db:
        case = decisions.lock_case(db, case_id)
        if case is None or not vetting_cases.extend(db, case_id, timedelta(days=context.settings.hold_days)):
            raise CaseNotOpen("This case was decided meanwhile.")
        entry = AuditEntry(AuditKind.CASE_EXPIRED, CLOCK.actor_id, (str(case_id),), {"kept": True})
        audit.append(db, context.settings.audit_key, entry)
    _log.warning("vetting_case_kept", case_id=str(case_id))


def _check(db: Transaction, case: LockedCase | None, decision: CaseDecision) -> LockedCase:
    """Return the case if this decision is possible. Raises `DecisionRefused` if it is not."""
    if case is None:
        raise CaseNotOpen("There is no vetting case with this id. `postroom vetting list` shows those that wait.")
    if case.state is not CaseState.OPEN:
        raise CaseNotOpen(_who_was_first(db, case))
    if decision.version not in {None, case.version}:
        raise CaseChanged(f"The case has changed: it has version {case.version}, not {decision.version}.")
    if not case.held.issuperset(decision.only or ()):
        raise InvalidDecision("Some of these recipients are not held, or are not recipients of this message.")
    case.refuse_own(decision.actor)
    return case


def _who_was_first(db: Transaction, case: LockedCase) -> str:
    made = [each for each in decisions.of_case(db, case.case_id) if each.undone_at is None]
    if not made:
        return f"This case is closed: {case.state}."
    last = made[-1]
    when = f"{last.decided_at:%Y-%m-%d %H:%M:%S} UTC"
    if last.is_pending:
        until = f"{last.effective_at:%H:%M:%S} UTC"
        return f"This case is decided: {last.verdict} by {last.actor_name} at {when}. It can be undone until {until}."
    return f"This case is closed: {case.state} by {last.actor_name} at {when}."


def _record_event(db: Transaction, case_id: UUID, decision: CaseDecision) -> None:
    if decision.verdict not in _EVENTS:
        return
    actor = decision.actor
    details = {"claimed_name": actor.name} if actor.kind in {ActorKind.OPERATOR, ActorKind.CLIENT} else {}
    record(db, SecurityEvent(_EVENTS[decision.verdict], actor.actor_id, subject=str(case_id), details=details))


def _entry(case: LockedCase, decision_id: UUID, decision: CaseDecision) -> AuditEntry:
    facts = {
        "verdict": decision.verdict,
        "version": case.version,
        "only": decision.only and [str(each) for each in decision.only],
        "pause_s": decision.pause.seconds,
        "reason": decision.reason,
        "batch": decision.batch_id,
    }
    details = {"name": decision.actor.name, "sentence": decision.sentence, "note": decision.note}
    kind = AuditKind.CASE_EXPIRED if decision.verdict is CaseVerdict.EXPIRE else AuditKind.CASE_DECIDED
    subjects = (str(case.case_id), str(case.message_id), str(decision_id))
    return AuditEntry(kind, decision.actor.actor_id, subjects, facts, details)


def _apply(context: StepContext, db: Transaction, case: LockedCase) -> list[Transition]:
    """Apply the decision of a locked case if its pause is over. Return what happens to its recipients."""
    decision = decisions.begin_applying(db, case)
    if decision is None:
        return []
    held = candidates.candidates(db, [case.message_id], State.HELD)
    chosen = [each for each in held if decision.concerns(each.account_id)]
    decided = _decide(context, chosen, decision)
    transitions.apply_transitions(db, decided)
    decisions.finish_applying(db, case, still_held=len(held) - len(chosen))
    return decided


def _decide(context: StepContext, chosen: Sequence[PendingRecipient], decision: DecisionView) -> list[Transition]:
    if decision.verdict is CaseVerdict.APPROVE:
        grace = context.settings.grace
        decided = [decide_recipient(pending, verdict=RuleVerdict.PASS, grace=grace) for pending in chosen]
        return context.recipient_limits.defer_inboxes(let_follow(decided, chosen), chosen)
    return refuse(chosen, REFUSALS[decision.verdict])
