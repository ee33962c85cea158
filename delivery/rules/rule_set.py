"""Rule sets: rules, scores, word lists and policy under one number, which every message is judged by as a whole."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import ClassVar

from delivery.detection.facts import BY_NAME, FactSource, FactType
from delivery.detection.text_facts import READ_LATER
from delivery.rules.expressions import InvalidExpression, check_expression, conjuncts, join, names_in
from delivery.vocabulary import MessageType, RuleVerdict, Trust

_STRICT: Mapping[str, str] = {"extra": "forbid"}
"""How documents are read into these values (`rulebook.documents`): a name that is not a field is an error."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LIST_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
LIST_LIMIT = 100_000


class Action(StrEnum):
    """What a rule asks for when it hits."""

    HOLD = "hold"
    REFUSE = "refuse"
    NOTE = "note"


class Mode(StrEnum):
    """How far a rule's life has come. Only live rules do what they ask for; shadow rules are recorded only."""

    DRAFT = "draft"
    SHADOW = "shadow"
    LIVE = "live"


class Known(IntEnum):
    """How much is known of a message, the cheapest first. Each has what stands before it."""

    WORDS = 0
    TEXT = 1
    HISTORY = 2


class ListKind(StrEnum):
    """What the entries of a list are."""

    PHRASES = "phrases"
    DOMAINS = "domains"


@dataclass(frozen=True, slots=True)
class Example:
    """A message to try a rule with when it is saved. Without `facts` it is a first message."""

    __pydantic_config__: ClassVar = _STRICT
    body: str
    subject: str = "A question"
    sender_name: str = "A sender"
    sender_email: str = ""
    facts: Mapping[str, int | bool | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: where `when` holds, it asks for `action`. `reason` is for staff, `sentence` for the sender."""

    __pydantic_config__: ClassVar = _STRICT
    name: str
    when: str
    action: Action = Action.HOLD
    mode: Mode = Mode.DRAFT
    reason: str = ""
    sentence: str = ""
    owner: str = ""
    version: int = 1
    proposed_by: str = ""
    """Who activated a rule that refuses, while a second person is needed."""
    must_hit: tuple[Example, ...] = ()
    must_miss: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class WordList:
    """A named list of phrases or domains."""

    __pydantic_config__: ClassVar = _STRICT
    name: str
    entries: tuple[str, ...]
    kind: ListKind = ListKind.PHRASES
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class ScoreTerm:
    """Points that a message gets where the condition holds."""

    __pydantic_config__: ClassVar = _STRICT
    when: str
    points: int


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """What happens to a message: the first row that fits decides. Conditions that are None fit every message."""

    __pydantic_config__: ClassVar = _STRICT
    then: RuleVerdict
    asked: Action | None = None
    trust: Trust | None = None
    type: MessageType | None = None


DEFAULT_POLICY = (
    PolicyRow(RuleVerdict.HOLD, trust=Trust.WATCHED),
    PolicyRow(RuleVerdict.PASS, trust=Trust.TRUSTED),
    PolicyRow(RuleVerdict.REFUSE, asked=Action.REFUSE),
    PolicyRow(RuleVerdict.HOLD, asked=Action.HOLD),
)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything that a verdict depends on beside the message. `number` is 0 for one that is not stored."""

    __pydantic_config__: ClassVar = _STRICT
    rules: tuple[Rule, ...] = ()
    lists: tuple[WordList, ...] = ()
    scores: Mapping[str, tuple[ScoreTerm, ...]] = field(default_factory=dict)
    policy: tuple[PolicyRow, ...] = DEFAULT_POLICY
    platform_names: tuple[str, ...] = ()
    platform_domains: tuple[str, ...] = ()
    number: int = 0

    @property
    def types(self) -> dict[str, FactType]:
        """The names that expressions of this set may use, each with its type."""
        return {
            **{name: fact.type for name, fact in BY_NAME.items()},
            **{f"list.{each.name}": FactType.INT for each in self.lists if each.kind is ListKind.PHRASES},
            **{f"score.{name}": FactType.INT for name in self.scores},
        }

    def verdict(self, asked: Collection[Action], trust: str, type_: str) -> RuleVerdict:
        """Return what policy makes of a message for which live rules ask for this: the first row that fits decides."""
        for row in self.policy:
            if (row.asked is None or row.asked in asked) and row.trust in {None, trust} and row.type in {None, type_}:
                return row.then
        return RuleVerdict.PASS

    def asks_history(self, expression: str) -> bool:
        """Whether an expression asks for what tables say about the time before the message."""
        return self._asks(expression) is Known.HISTORY

    def _asks(self, expression: str) -> Known:
        """Return what must be known before this expression can be evaluated."""
        return max(map(self._source_of, names_in(expression)), default=Known.WORDS)

    def _source_of(self, name: str) -> Known:
        if name.startswith("score."):
            terms = self.scores.get(name.removeprefix("score."), ())
            return max((self._asks(term.when) for term in terms), default=Known.WORDS)
        if name in BY_NAME and BY_NAME[name].source is FactSource.HISTORY:
            return Known.HISTORY
        return Known.TEXT if name in READ_LATER else Known.WORDS

    def guard_of(self, rule: Rule, known: Known) -> str:
        """Return the part of the rule's expression that needs no more than this; `true` where there is none."""
        return join(part for part in conjuncts(rule.when) if self._asks(part) <= known)


def faults_of(rule_set: RuleSet) -> list[str]:
    """Return what keeps this set from being used, a sentence each; none for a good set. Examples are not tried here."""
    faults = [
        f"Rule {each.name}: names are lower-case letters, digits and -."
        for each in rule_set.rules
        if not _NAME.fullmatch(each.name)
    ]
    faults += _doubles("rule", [each.name for each in rule_set.rules])
    faults += _doubles("list", [each.name for each in rule_set.lists])
    for listed in rule_set.lists:
        faults += _list_faults(listed)
    types = rule_set.types
    for name, terms in rule_set.scores.items():
        plain = {each: type_ for each, type_ in types.items() if not each.startswith("score.")}
        faults += [fault for term in terms if (fault := _fault(f"Score {name}", term.when, plain))]
    faults += [fault for rule in rule_set.rules if (fault := _fault(f"Rule {rule.name}", rule.when, types))]
    return faults


def _fault(place: str, expression: str, types: Mapping[str, FactType]) -> str | None:
    try:
        check_expression(expression, types)
    except InvalidExpression as error:
        return f"{place}: {error}."
    return None


def _list_faults(listed: WordList) -> list[str]:
    faults = []
    if not _LIST_NAME.fullmatch(listed.name):
        faults.append(f"List {listed.name}: names are lower-case letters, digits and _.")
    if len(listed.entries) > LIST_LIMIT:
        faults.append(f"List {listed.name} has {len(listed.entries):,} entries; at most {LIST_LIMIT:,} are allowed.")
    return faults


def _doubles(kind: str, names: list[str]) -> list[str]:
    return [f"There are two {kind}s {name}." for name in sorted({each for each in names if names.count(each) > 1})]
