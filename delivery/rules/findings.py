"""What a rule found in the texts of a message, for the people who decide about it."""

from collections.abc import Mapping

from delivery.detection.facts import FactValue
from delivery.detection.folding import fold
from delivery.rules.rule_engine import RuleEngine, RuleHit, RuleResult
from delivery.rules.vetting import Finding

_MOST = 20


def findings_of(engine: RuleEngine, result: RuleResult, hit: RuleHit, subject: str) -> tuple[Finding, ...]:
    """Return the entries of lists that the rule asked for and the text has, after the reason that the rule gives.

    `field` is `subject`, `body`, or `message` for the reason, which is about the whole.
    """
    subject_end = len(fold(subject).line.strip())
    lists = {name.removeprefix("list.") for name in engine.names_of(hit.name) if name.startswith("list.")}
    words = [
        Finding(word.entry, "subject" if word.start < subject_end else "body", hit.name)
        for word in result.words
        if word.list_name in lists
    ]
    reason = f"{hit.name} failed on this message" if hit.has_failed else hit.reason or hit.name
    return (Finding(reason, "message", hit.name), *dict.fromkeys(words[:_MOST]))


def facts_of(engine: RuleEngine, result: RuleResult, hit: RuleHit) -> Mapping[str, FactValue]:
    """Return the values of the facts that the rule asked for, those that are 0 or false left out."""
    return {name: value for name in sorted(engine.names_of(hit.name)) if (value := result.facts.get(name, False))}
