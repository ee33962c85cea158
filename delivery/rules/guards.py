"""Which rules may hit a message: their conditions, as far as these can be evaluated with what is known so far."""

from collections.abc import Mapping, Sequence

from delivery.detection.facts import Facts, FactType, FactValue
from delivery.rules.expressions import ExpressionSet
from delivery.rules.rule_set import ScoreTerm

_KEPT = 2000


class Score:
    """Points that add up, compiled. Any number of threads may ask for its value."""

    def __init__(self, terms: Sequence[ScoreTerm], types: Mapping[str, FactType]) -> None:
        self._conditions = ExpressionSet([term.when for term in terms], types)
        self._points = [term.points for term in terms]
        self.names = self._conditions.names

    def value(self, facts: Facts) -> int:
        """Return the points of a message with these facts. A term that fails on them adds none."""
        outcomes = self._conditions.evaluate(facts)
        return sum(points for points, outcome in zip(self._points, outcomes, strict=True) if outcome.holds)


class Guards:
    """A guard for each rule: a condition that must hold where the rule hits. Any number of threads may ask.

    Most messages have the same few facts, so that the answers are kept.
    """

    def __init__(self, conditions: Sequence[str], scores: Mapping[str, Score], types: Mapping[str, FactType]) -> None:
        self._conditions = ExpressionSet(conditions, types)
        self._scores = {
            fact: score for name, score in scores.items() if (fact := f"score.{name}") in self._conditions.names
        }
        plain = self._conditions.names - self._scores.keys()
        self.asked = tuple(sorted(plain.union(*(score.names for score in self._scores.values()))))
        self._kept: dict[tuple[FactValue | None, ...], tuple[int, ...]] = {}

    def may_hit(self, facts: Facts) -> tuple[int, ...]:
        """Return the positions of the rules whose guards hold with these facts, or fail on them."""
        key = tuple(map(facts.get, self.asked))
        found = self._kept.get(key)
        if found is None:
            found = self._evaluate(facts)
            if len(self._kept) < _KEPT:
                self._kept[key] = found
        return found

    def _evaluate(self, facts: Facts) -> tuple[int, ...]:
        scored = {fact: score.value(facts) for fact, score in self._scores.items()}
        outcomes = self._conditions.evaluate({**facts, **scored})
        return tuple(at for at, each in enumerate(outcomes) if each.holds or each.failed)
