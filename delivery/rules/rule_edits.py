"""Changes of a rule set: every change makes a new set, and a rule that changed gets the next version."""

from collections.abc import Sequence
from dataclasses import replace

from delivery.detection.text_facts import MessageText
from delivery.rules.rule_engine import FIRST_MESSAGE, RuleEngine
from delivery.rules.rule_set import Action, Example, Mode, PolicyRow, Rule, RuleSet, WordList


class NoSuchRule(LookupError):  # noqa: N818 - a fact about the set
    """The set has no rule or list of this name."""


class SecondPersonNeeded(Exception):  # noqa: N818 - a fact about the rule
    """A rule that refuses goes live when a second person activates it. The set has recorded the first one."""

    def __init__(self, rule_set: RuleSet) -> None:
        super().__init__("A rule that refuses messages needs a second person: ask a colleague to activate it too.")
        self.rule_set = rule_set


def rule_of(rule_set: RuleSet, name: str) -> Rule:
    """Return the rule of this name. Raises `NoSuchRule`."""
    for rule in rule_set.rules:
        if rule.name == name:
            return rule
    raise NoSuchRule(f"There is no rule {name}. `postroom rules list` shows all.")


def with_mode(rule_set: RuleSet, name: str, mode: Mode, *, person: str) -> RuleSet:
    """Return the set with this rule in another mode.

    Raises `NoSuchRule`, and `SecondPersonNeeded` for a rule that refuses if no other person activated it before.
    """
    rule = rule_of(rule_set, name)
    if mode is Mode.LIVE and rule.action is Action.REFUSE and rule.proposed_by in {"", person}:
        raise SecondPersonNeeded(_with_rule(rule_set, replace(rule, proposed_by=person)))
    return _with_rule(rule_set, replace(rule, mode=mode, proposed_by="" if mode is not Mode.LIVE else rule.proposed_by))


def with_action(rule_set: RuleSet, name: str, action: Action) -> RuleSet:
    """Return the set with this rule asking for something else, as its next version. Raises `NoSuchRule`."""
    rule = rule_of(rule_set, name)
    return _with_rule(rule_set, _successor(rule, replace(rule, action=action)))


def replaced(before: RuleSet, after: RuleSet) -> RuleSet:
    """Return `after` as the successor of `before`: versions of changed rules go on, whatever the document says.

    A rule that refuses keeps its former mode until two persons have activated it.
    """
    known = {rule.name: rule for rule in before.rules}
    rules = tuple(_successor(known.get(rule.name), rule) for rule in after.rules)
    return replace(after, rules=rules, number=before.number)


def with_entries(rule_set: RuleSet, name: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> RuleSet:
    """Return the set with entries added to a list or removed from it. A list that does not exist yet is made."""
    lists = {each.name: each for each in rule_set.lists}
    if name not in lists and not add:
        raise NoSuchRule(f"There is no list {name}. `postroom lists list` shows all.")
    listed = lists.get(name, WordList(name, ()))
    kept = [entry for entry in listed.entries if entry not in set(remove)]
    entries = tuple(dict.fromkeys([*kept, *add]))
    lists[name] = replace(listed, entries=entries)
    return replace(rule_set, lists=tuple(lists.values()))


def with_policy_row(rule_set: RuleSet, row: PolicyRow, *, place: int | None = None) -> RuleSet:
    """Return the set with this row of policy: in place of the row with the same conditions, or as a new one.

    A new row comes first, so that it decides before all others, or at `place`, counted from 1.
    """
    rows = [each for each in rule_set.policy if _conditions(each) != _conditions(row)]
    at = next((at for at, each in enumerate(rule_set.policy) if _conditions(each) == _conditions(row)), 0)
    rows.insert(at if place is None else place - 1, row)
    return replace(rule_set, policy=tuple(rows))


def without_policy_row(rule_set: RuleSet, place: int) -> RuleSet:
    """Return the set without this row of policy, counted from 1. Raises `NoSuchRule`."""
    if not 1 <= place <= len(rule_set.policy):
        raise NoSuchRule(f"The policy has no row {place}. `postroom policy show` shows all.")
    return replace(rule_set, policy=rule_set.policy[: place - 1] + rule_set.policy[place:])


def _conditions(row: PolicyRow) -> tuple[object, ...]:
    return row.asked, row.trust, row.type


def failed_examples(rule_set: RuleSet) -> list[str]:
    """Return a sentence for each example that does not come out as its rule says."""
    engine = RuleEngine(replace(rule_set, rules=tuple(replace(rule, mode=Mode.LIVE) for rule in rule_set.rules)))
    faults = []
    for rule in rule_set.rules:
        for wanted, examples in ((True, rule.must_hit), (False, rule.must_miss)):
            for number, example in enumerate(examples, start=1):
                if _hits(engine, rule, example) is not wanted:
                    kind = "must_hit" if wanted else "must_miss"
                    verb = "does not hit" if wanted else "hits"
                    faults.append(f"Rule {rule.name} {verb} its example {kind} {number}: {example.body[:60]!r}.")
    return faults


def _hits(engine: RuleEngine, rule: Rule, example: Example) -> bool:
    message = MessageText(example.subject, example.body, example.sender_name, example.sender_email)
    result = engine.apply(engine.read(message), {**FIRST_MESSAGE, **example.facts})
    return any(hit.name == rule.name and not hit.has_failed for hit in result.hits)


def _with_rule(rule_set: RuleSet, changed: Rule) -> RuleSet:
    return replace(rule_set, rules=tuple(changed if rule.name == changed.name else rule for rule in rule_set.rules))


def _successor(before: Rule | None, after: Rule) -> Rule:
    if before is None:
        mode = Mode.SHADOW if after.action is Action.REFUSE and after.mode is Mode.LIVE else after.mode
        return replace(after, version=1, mode=mode, proposed_by="")
    unversioned = replace(after, version=before.version, proposed_by=before.proposed_by)
    if replace(unversioned, mode=before.mode) == before:
        is_refusing_anew = after.action is Action.REFUSE and after.mode is Mode.LIVE and before.mode is not Mode.LIVE
        return before if is_refusing_anew else unversioned
    mode = Mode.SHADOW if after.action is Action.REFUSE and after.mode is Mode.LIVE else after.mode
    return replace(after, version=before.version + 1, mode=mode, proposed_by="")


def changes(before: RuleSet, after: RuleSet) -> list[str]:
    """Return what differs between two sets, a line each."""
    lines = []
    old, new = {rule.name: rule for rule in before.rules}, {rule.name: rule for rule in after.rules}
    for name in sorted(old.keys() | new.keys()):
        lines += _rule_changes(name, old.get(name), new.get(name))
    old_lists = {each.name: set(each.entries) for each in before.lists}
    new_lists = {each.name: set(each.entries) for each in after.lists}
    for name in sorted(old_lists.keys() | new_lists.keys()):
        old_entries, new_entries = old_lists.get(name, set()), new_lists.get(name, set())
        lines += [f"- list {name}: {entry}" for entry in sorted(old_entries - new_entries)]
        lines += [f"+ list {name}: {entry}" for entry in sorted(new_entries - old_entries)]
    if before.policy != after.policy:
        lines += [f"- policy {_words(row)}" for row in before.policy if row not in after.policy]
        lines += [f"+ policy {_words(row)}" for row in after.policy if row not in before.policy]
        lines.append("policy changed")
    if dict(before.scores) != dict(after.scores):
        lines.append("scores changed")
    return lines


def _words(row: PolicyRow) -> str:
    parts = [
        f"{name} {value}" for name, value in (("trust", row.trust), ("type", row.type), ("asks", row.asked)) if value
    ]
    return f"{', '.join(parts) or 'any'}: {row.then}"


def _rule_changes(name: str, before: Rule | None, after: Rule | None) -> list[str]:
    if before == after:
        return []
    if before is None or after is None:
        return [f"{'+' if before is None else '-'} rule {name}"]
    pairs = [(what, getattr(before, what), getattr(after, what)) for what in ("mode", "action", "when", "reason")]
    told = [f"rule {name} {what}: {old} -> {new}" for what, old, new in pairs if old != new]
    return told or [f"rule {name} changed"]
