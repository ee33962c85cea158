"""Close a vetting case: staff approve or reject a held message, or its review expires.

An approved message is not checked against the vetting rules again.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.logs.security import write_line
from delivery.records.database import transaction
from delivery.records.identities.security_events import SecurityEvent, record
from delivery.records.pipeline import candidates, transitions, vetting_cases
from delivery.records.pipeline.vetting_cases import CaseDecision
from delivery.rules.same_mailbox import let_follow
from delivery.rules.transitions import PendingRecipient, Transition, decide_recipient, refuse
from delivery.vocabulary import CaseState, Reason, RuleVerdict, SecurityEventKind, State
from tasks.broker.doorbell import ring_for_deliveries
from tasks.context import StepContext

_log = structlog.get_logger()
_CLOCK = "the clock"
_REFUSALS = {CaseState.REJECTED: Reason.REFUSED_BY_STAFF, CaseState.EXPIRED: Reason.EXPIRED_IN_REVIEW}

_EVENTS = {CaseState.APPROVED: SecurityEventKind.CASE_APPROVED, CaseState.REJECTED: SecurityEventKind.CASE_REJECTED}


class CaseNotOpen(Exception):  # noqa: N818 - a fact about the case
    """The case cannot be decided: it does not exist, or it is closed."""


def close_case(context: StepContext, case_id: UUID, decision: CaseDecision) -> None:
    """Close an open case. On approval preferences are checked again, so an opt-out during the review counts.

    Raises `CaseNotOpen` when the case does not exist or is closed, so a second decision changes nothing.
    """
    with transaction(context.database) as db:
        closed = vetting_cases.close(db, case_id, decision)
        if closed is None:
            raise CaseNotOpen(_why_not_open(vetting_cases.find(db, case_id)))
        if decision.operator:
            record(db, _event(case_id, decision))
        crash_here(CrashPoint.RULE_CLOSED)
        held = candidates.candidates(db, [closed.message_id], State.HELD)
        decided = _decide(context, held, decision.state)
        transitions.apply_transitions(db, decided)
        crash_here(CrashPoint.RULE_WRITTEN)
    crash_here(CrashPoint.RULE_COMMITTED)
    ring_for_deliveries(context.doorbell, decided)
    _log.info("vetting_case_decided", case_id=str(case_id), state=decision.state)
    if decision.operator:
        write_line(_EVENTS[decision.state], case_id=str(case_id), actor=decision.operator)


def expire_reviews(context: StepContext, message_ids: Sequence[UUID]) -> None:
    """Refuse those of these held messages that staff did not decide in time.

    Safe to run twice: a case that was closed meanwhile stays as it is.
    """
    with transaction(context.database) as db:
        overdue = vetting_cases.overdue(db, message_ids)
    for case_id in overdue:
        try:
            close_case(context, case_id, CaseDecision(CaseState.EXPIRED, _CLOCK))
        except CaseNotOpen:
            _log.debug("vetting_case_decided_before_it_expired", case_id=str(case_id))


def _event(case_id: UUID, decision: CaseDecision) -> SecurityEvent:
    details = {"claimed_name": decision.actor}
    return SecurityEvent(_EVENTS[decision.state], decision.operator, subject=str(case_id), details=details)


def _decide(context: StepContext, held: Sequence[PendingRecipient], state: CaseState) -> list[Transition]:
    if state is CaseState.APPROVED:
        grace = context.settings.grace
        decided = [decide_recipient(pending, verdict=RuleVerdict.PASS, grace=grace) for pending in held]
        return context.recipient_limits.defer_inboxes(let_follow(decided, held), held)
    return refuse(held, _REFUSALS[state])


def _why_not_open(case: vetting_cases.CaseView | None) -> str:
    if case is None:
        return "There is no vetting case with this id. `postroom vetting list` shows those that wait."
    return f"This case is closed: {case.state} by {case.decided_by} at {case.decided_at:%Y-%m-%d %H:%M:%S} UTC."
