"""Which rules may hit a message: their conditions, as far as these can be evaluated with what is known so far."""

import re
from collections.abc import Mapping, Sequence

from delivery.detection.facts import Facts, FactType, FactValue
from delivery.rules.expressions import ExpressionSet
from delivery.rules.rule_set import ScoreTerm

_KEPT = 2000
_AT_LEAST = re.compile(r"([a-z]+\.[a-z_0-9]+) (>=|>) ([0-9]{1,9})")


class Score:
    """Points that add up, compiled. Any number of threads may ask for its value.

    Terms such as `list.cheques >= 2` or `list.cheques > 0 && text.links > 0` are compared here: a score of the shipped
    set has two hundred, and the language of the others takes ten times as long.
    """

    def __init__(self, terms: Sequence[ScoreTerm], types: Mapping[str, FactType]) -> None:
        limits = [(_limits_of(term.when, types), term) for term in terms]
        self._limited = [(each, term.points) for each, term in limits if each]
        others = [term for each, term in limits if not each]
        self._conditions = ExpressionSet([term.when for term in others], types)
        self._points = [term.points for term in others]
        self.names = self._conditions.names.union(name for each, _ in self._limited for name, _ in each)

    def value(self, facts: Facts) -> int:
        """Return the points of a message with these facts. A term that fails on them adds none."""
        outcomes = self._conditions.evaluate(facts)
        found = sum(points for points, outcome in zip(self._points, outcomes, strict=True) if outcome.holds)
        for limits, points in self._limited:
            for name, least in limits:
                if facts.get(name, least - 1) < least:  # type: ignore[operator] # only numbers are compared here
                    break
            else:
                found += points
        return found


def _limits_of(expression: str, types: Mapping[str, FactType]) -> tuple[tuple[str, int], ...]:
    """Return the least value of each fact where the expression is `fact >= number && ...`; none for any other."""
    matches = [_AT_LEAST.fullmatch(part.strip()) for part in expression.split("&&")]
    if not all(match and types.get(match[1]) is FactType.INT for match in matches):
        return ()
    return tuple((match[1], int(match[3]) + (match[2] == ">")) for match in matches if match)


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
