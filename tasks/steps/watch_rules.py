"""Act on rules that need attention: a line in the log for each and, where staff released most, no more holding."""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from delivery.records.database import Transaction, transaction
from delivery.records.rule_sets import store, watch
from delivery.rules import rule_edits
from delivery.rules.rule_alarms import AlarmKind, RuleAlarm
from delivery.rules.rule_set import Action
from tasks.context import StepContext

_log = structlog.get_logger()
WATCH_EVERY_S = 60.0
# One worker looks, in each minute. The workers' sweeps are not in step with each other, so the turn is a bit shorter.
_TURN = timedelta(seconds=WATCH_EVERY_S - 5)
_MADE_BY = "postroom watch"


def find_alarms(db: Transaction, limit: int) -> list[RuleAlarm]:
    """Return the rules that need attention, if it is this worker's turn to look."""
    return watch.alarms(db)[:limit] if watch.take_turn(db, _TURN) else []


def watch_rules(context: StepContext, alarms: Sequence[RuleAlarm]) -> None:
    """Write a line to the log for each of these rules, and let one that staff mostly release only note its hits."""
    for each in alarms:
        share = each.share
        if each.kind is AlarmKind.FAILS:
            _log.error("rule_fails", rule=each.name, version=each.version, messages=share.held)
            continue
        _log.error(
            "rule_holds_too_much",
            rule=each.name,
            version=each.version,
            held=share.held,
            judged=share.judged,
            senders=share.senders,
            what_now=f"postroom rules note {each.name}; postroom rules release {each}",
        )
        if share.is_mostly_released:
            _stop_holding(context, each)


def _stop_holding(context: StepContext, alarm: RuleAlarm) -> None:
    looked_at = alarm.share.upheld + alarm.share.released
    comment = f"{alarm} only notes: staff released {alarm.share.released} of {looked_at} that they looked at"
    with transaction(context.database) as db:
        before = store.read_newest(db)
        rule = next((rule for rule in before.rules if rule.name == alarm.name), None)
        if rule is None or rule.version != alarm.version:
            return  # Another change was faster.
        number = store.store(
            db, rule_edits.with_action(before, alarm.name, Action.NOTE), made_by=_MADE_BY, comment=comment
        )
    _log.warning("rule_only_notes", rule=alarm.name, version=alarm.version, rule_set=number)
