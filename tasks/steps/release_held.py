"""Release what only one version of a rule holds. Such messages go on behind the rules, as approved ones do."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog

from delivery.logs.security import write_line
from delivery.records.database import Transaction, transaction
from delivery.records.identities.security_events import SecurityEvent, record
from delivery.records.pipeline import candidates, transitions
from delivery.records.rule_sets import held_alone, store
from delivery.records.rule_sets.held_alone import HeldByRule
from delivery.rules.rule_set import RuleSet
from delivery.rules.same_mailbox import let_follow
from delivery.rules.transitions import Transition, decide_recipient
from delivery.vocabulary import RuleVerdict, SecurityEventKind, State
from tasks.broker.doorbell import ring_for_deliveries
from tasks.context import StepContext

_log = structlog.get_logger()
_AT_ONCE = 100


def held_by_only(db: Transaction, rule: str, version: int, since: datetime | None = None) -> list[HeldByRule]:
    """Return the held messages that would have gone on without this version of the rule, oldest first.

    Each is judged by the rule set that held it, without the rule.
    """
    found = held_alone.held_by(db, rule, version, since)
    sets = {number: _set(db, number) for number in {each.rule_set for each in found}}
    return [
        each for each in found if sets[each.rule_set].verdict(each.others, each.trust, each.type) is RuleVerdict.PASS
    ]


def release_held(context: StepContext, held: Sequence[UUID], *, rule: str, person: str, operator: str) -> int:
    """Release those of these messages whose case is still open. Preferences are checked again. Returns their number."""
    released = 0
    for start in range(0, len(held), _AT_ONCE):
        released += _release_portion(
            context, held[start : start + _AT_ONCE], rule=rule, person=person, operator=operator
        )
    _log.info("released_with_rule", rule=rule, messages=released)
    return released


def _release_portion(
    context: StepContext, message_ids: Sequence[UUID], *, rule: str, person: str, operator: str
) -> int:
    with transaction(context.database) as db:
        cases = held_alone.close_cases(db, message_ids, person=person, rule=rule)
        for case_id in cases.values():
            details = {"claimed_name": person, "released_with": rule}
            record(db, SecurityEvent(SecurityEventKind.CASE_APPROVED, operator, subject=str(case_id), details=details))
        decided = _decide(context, db, list(cases))
        transitions.apply_transitions(db, decided)
    ring_for_deliveries(context.doorbell, decided)
    for case_id in cases.values():
        write_line(SecurityEventKind.CASE_APPROVED, case_id=str(case_id), actor=operator)
    return len(cases)


def _decide(context: StepContext, db: Transaction, message_ids: Sequence[UUID]) -> list[Transition]:
    waiting = candidates.candidates(db, message_ids, State.HELD)
    grace = context.settings.grace
    decided = [decide_recipient(each, verdict=RuleVerdict.PASS, grace=grace) for each in waiting]
    return context.recipient_limits.defer_inboxes(let_follow(decided, waiting), waiting)


def _set(db: Transaction, number: int | None) -> RuleSet:
    return (store.read(db, number) if number is not None else None) or RuleSet()
