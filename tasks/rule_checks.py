"""Check the rules in force: each live rule compiles, and its examples come out as it says."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from delivery.records.database import Transaction
from delivery.records.rule_sets import store
from delivery.rulebook.documents import InvalidRuleSet
from delivery.rules import rule_edits
from delivery.rules.rule_set import Mode, RuleSet
from tasks.check_results import CheckResult, Severity, ok

_ADVICE = (
    "Correct the rule and import it, or stop it with `postroom rules stop RULE`. Workers go on with the set before."
)


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rule set in force or, where it cannot be read, why."""

    rule_set: RuleSet = field(default_factory=RuleSet)
    faults: tuple[str, ...] = ()


def read_in_force(db: Transaction) -> RulesInForce:
    """Return the rule set in force, or what keeps it from being used."""
    try:
        return RulesInForce(store.read_newest(db))
    except InvalidRuleSet as error:
        return RulesInForce(faults=tuple(error.faults))
    except ImportError as error:
        return RulesInForce(faults=(f"The package {error.name} is not installed, so no rule can be used.",))


def check_rules(found: RulesInForce) -> CheckResult:
    """Return whether every live rule compiles and passes its examples. A rule that does not is named."""
    sentence = "each live rule compiles and passes its examples"
    faults = found.faults or _failed_examples(found.rule_set)
    return CheckResult(Severity.FAULT, sentence, len(faults), tuple(faults), _ADVICE) if faults else ok(sentence)


def _failed_examples(rule_set: RuleSet) -> Sequence[str]:
    live = tuple(rule for rule in rule_set.rules if rule.mode is Mode.LIVE)
    return rule_edits.failed_examples(replace(rule_set, rules=live))
