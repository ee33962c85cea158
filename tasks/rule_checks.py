"""Check the rules in force: each live rule compiles, and its examples come out as it says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from delivery.records.database import Transaction
from delivery.records.rule_sets import store, watch
from delivery.rulebook.documents import InvalidRuleSet
from delivery.rules import rule_edits
from delivery.rules.rule_alarms import AlarmKind, RuleAlarm
from delivery.rules.rule_set import Mode, RuleSet
from tasks.check_results import CheckResult, Severity, ok

_ADVICE = (
    "Correct the rule and import it, or stop it with `postroom rules stop RULE`. Workers go on with the set before."
)

_HOLDS_ADVICE = (
    "Look at what it holds. `postroom rules note RULE` keeps it from holding more, and `postroom rules release "
    "RULE@VERSION` lets go what only it holds."
)
_FAILS_ADVICE = (
    "The messages are held. Correct the rule; `postroom rules release RULE@VERSION` lets go what only it holds."
)


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rule set in force or, where it cannot be read, why."""

    rule_set: RuleSet = field(default_factory=RuleSet)
    faults: tuple[str, ...] = ()
    alarms: tuple[RuleAlarm, ...] = ()


def read_in_force(db: Transaction) -> RulesInForce:
    """Return the rule set in force, or what keeps it from being used."""
    alarms = tuple(watch.alarms(db))
    try:
        return RulesInForce(store.read_newest(db), alarms=alarms)
    except InvalidRuleSet as error:
        return RulesInForce(faults=tuple(error.faults), alarms=alarms)
    except ImportError as error:
        return RulesInForce(faults=(f"The package {error.name} is not installed, so no rule can be used.",))


def check_rules(found: RulesInForce) -> Iterator[CheckResult]:
    """Return whether live rules can be used, whether they hold too much, and whether they fail. Each is named."""
    yield _check_use(found)
    yield _check_share(found.alarms)
    yield _check_failures(found.alarms)


def _check_use(found: RulesInForce) -> CheckResult:
    sentence = "each live rule compiles and passes its examples"
    faults = found.faults or _failed_examples(found.rule_set)
    return CheckResult(Severity.FAULT, sentence, len(faults), tuple(faults), _ADVICE) if faults else ok(sentence)


def _check_share(alarms: Sequence[RuleAlarm]) -> CheckResult:
    sentence = "no rule that is new holds more than 5 per cent"
    rows = tuple(
        f"{each} ({each.share.held} of {each.share.judged} messages, from {each.share.senders} senders)"
        for each in alarms
        if each.kind is AlarmKind.HOLDS_TOO_MUCH
    )
    return CheckResult(Severity.FAULT, sentence, len(rows), rows, _HOLDS_ADVICE) if rows else ok(sentence)


def _check_failures(alarms: Sequence[RuleAlarm]) -> CheckResult:
    sentence = "no rule failed on a message in the last hour"
    rows = tuple(f"{each} ({each.share.held} messages)" for each in alarms if each.kind is AlarmKind.FAILS)
    return CheckResult(Severity.FAULT, sentence, len(rows), rows, _FAILS_ADVICE) if rows else ok(sentence)


def _failed_examples(rule_set: RuleSet) -> Sequence[str]:
    live = tuple(rule for rule in rule_set.rules if rule.mode is Mode.LIVE)
    return rule_edits.failed_examples(replace(rule_set, rules=live))
