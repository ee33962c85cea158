"""Judging a message by a rule set: facts, hits, and what policy makes of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from delivery.detection.facts import UNKNOWN, FactValue
from delivery.detection.text_facts import DomainLists, MessageText, ReadText, read_text
from delivery.detection.word_lists import ListHit, WordLists
from delivery.rules.expressions import ExpressionSet, names_in
from delivery.rules.guards import Guards, Score
from delivery.rules.rule_set import Action, Known, ListKind, Mode, Rule, RuleSet
from delivery.vocabulary import RuleVerdict

FIRST_MESSAGE: Mapping[str, FactValue] = {
    "sender.messages": 0,
    "sender.refused": 0,
    "sender.released": UNKNOWN,
    "sender.reports": UNKNOWN,
    "sender.days": 0,
    "sender.is_new": True,
    "pair.days": UNKNOWN,
    "pair.wrote": 0,
    "pair.replies": UNKNOWN,
    "pair.unknown_recipients": 1,
    "pair.is_first": True,
    "repetition.by_sender": 0,
    "repetition.by_others": 0,
}
"""What is known about a sender who never sent a message."""


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that hit a message. A rule that failed on it is a hit too: it asks to hold."""

    name: str
    version: int
    action: Action
    mode: Mode
    reason: str = ""
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What a rule set says of a message. `rule_set` is its number."""

    verdict: RuleVerdict
    hits: tuple[RuleHit, ...] = ()
    rule_set: int = 0
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    words: tuple[ListHit, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """A message that was read, and which rules may hit it once its history is known."""

    message: MessageText
    read: ReadText
    may_hit: tuple[int, ...]


class RuleEngine:
    """A rule set, compiled. Raises `InvalidExpression` for a set that cannot be; `faults_of` says all of its faults.

    A message is read first (`read`): that needs nothing but its text, and ends most of them. Only where a rule's part
    about the text holds is the history asked for, and `apply` decides.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self.rule_set = rule_set
        self._rules = [rule for rule in rule_set.rules if rule.mode is not Mode.DRAFT]
        types = rule_set.types
        self._scores = {name: Score(terms, types) for name, terms in rule_set.scores.items()}
        # Almost every message ends at the first guards: links, numbers and names are looked for in few texts.
        self._word_guards, self._text_guards = (
            Guards([rule_set.guard_of(rule, known) for rule in self._rules], self._scores, types)
            for known in (Known.WORDS, Known.TEXT)
        )
        self._conditions = ExpressionSet([rule.when for rule in self._rules], types)
        self._asked_later = self._conditions.names.union(*(score.names for score in self._scores.values()))
        self._text_scores = [name for name in self._scores if not rule_set.asks_history(f"score.{name}")]
        self._lists = WordLists.of(
            {each.name: each.entries for each in rule_set.lists if each.kind is ListKind.PHRASES}
        )
        self._domains = _domain_lists(rule_set)
        self.asks_history = [rule_set.asks_history(rule.when) for rule in self._rules]

    def names_of(self, rule_name: str) -> frozenset[str]:
        """Return the facts that a rule of the set asks for, with those that its scores ask for."""
        names: set[str] = set()
        for rule in self._rules:
            if rule.name == rule_name:
                names |= names_in(rule.when)
        for name in [each.removeprefix("score.") for each in names if each.startswith("score.")]:
            for term in self.rule_set.scores.get(name, ()):
                names |= names_in(term.when)
        return frozenset(names)

    def read(self, message: MessageText) -> ReadMessage:
        """Return the facts of the message itself, and which rules may hit it."""
        read = read_text(message, self._lists, self._domains)
        may_hit = self._word_guards.may_hit(read.facts)
        if may_hit:
            read.add(self._text_guards.asked)
            may_hit = self._text_guards.may_hit(read.facts)
        if may_hit:
            read.add(self._asked_later)
            self._add_scores(read.facts, self._text_scores)
        return ReadMessage(message, read, may_hit)

    def needs_history(self, candidate: ReadMessage) -> bool:
        """Whether a rule that may hit asks for what went before the message."""
        return any(self.asks_history[at] for at in candidate.may_hit)

    def apply(self, candidate: ReadMessage, history: Mapping[str, FactValue] = FIRST_MESSAGE) -> RuleResult:
        """Return the verdict on a message that was read, with its history."""
        if not candidate.may_hit:
            return RuleResult(self._verdict(candidate.message, frozenset()), (), self.rule_set.number)
        facts: dict[str, FactValue] = {**candidate.read.facts, **history}
        self._add_scores(facts, [name for name in self._scores if name not in self._text_scores])
        outcomes = self._conditions.evaluate(facts)
        hits = tuple(
            _hit(self._rules[at], has_failed=outcomes[at].failed)
            for at in candidate.may_hit
            if outcomes[at].holds or outcomes[at].failed
        )
        verdict = self._verdict(candidate.message, {hit.action for hit in hits if hit.mode is Mode.LIVE})
        # Where the words stand is for those who decide about a message: most messages need no such search.
        words = self._lists.find(candidate.read.text.folded) if hits else ()
        return RuleResult(verdict, hits, self.rule_set.number, facts, tuple(words))

    def _verdict(self, message: MessageText, asked: Collection[Action]) -> RuleVerdict:
        return self.rule_set.verdict(asked, message.client_trust, message.type)

    def _add_scores(self, facts: dict[str, FactValue], names: Sequence[str]) -> None:
        for name in names:
            facts[f"score.{name}"] = self._scores[name].value(facts)


def _hit(rule: Rule, *, has_failed: bool) -> RuleHit:
    action = Action.HOLD if has_failed else rule.action
    return RuleHit(rule.name, rule.version, action, rule.mode, rule.reason, has_failed)


def _domain_lists(rule_set: RuleSet) -> DomainLists:
    domains = {each.name: frozenset(each.entries) for each in rule_set.lists if each.kind is ListKind.DOMAINS}
    none: frozenset[str] = frozenset()
    return DomainLists(
        shorteners=domains.get("shorteners", none),
        file_shares=domains.get("file_shares", none),
        free_mail=domains.get("free_mail", none),
        platform_domains=frozenset(rule_set.platform_domains),
        platform_names=rule_set.platform_names,
    )
