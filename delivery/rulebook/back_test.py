"""What a rule set would have done with messages of the past, and how sure that is."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from delivery.rulebook.evaluation import share
from delivery.rules.rule_engine import RuleResult
from delivery.rules.rule_set import Mode
from delivery.vocabulary import CaseState, RuleVerdict

SAMPLES = 20
_SIDES = 200


@dataclass(frozen=True, slots=True)
class TriedMessage:
    """A message of the past with what the tried set makes of it. Of its text nothing is kept."""

    message_id: str
    day: str
    was_held: bool
    case_state: CaseState | None
    result: RuleResult

    @property
    def is_held(self) -> bool:
        """Whether the tried set keeps it from going on."""
        return self.result.verdict is not RuleVerdict.PASS


@dataclass(slots=True)
class RuleFigures:
    """What one rule hit: messages, those that no other rule hit, those by day, and what staff said about them."""

    hits: int = 0
    alone: int = 0
    failed: int = 0
    upheld: int = 0
    released: int = 0
    by_day: dict[str, int] = field(default_factory=dict)
    together_with: dict[str, int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class BackTest:
    """The figures of a back-test. Parts of it, made by several processes, are added up with `add`."""

    messages: int = 0
    held: int = 0
    held_before: int = 0
    cpu_s: float = 0.0
    rules: dict[str, RuleFigures] = field(default_factory=dict)
    newly_held: list[str] = field(default_factory=list)
    no_longer_held: list[str] = field(default_factory=list)

    def count(self, tried: Iterable[TriedMessage], *, cpu_s: float = 0.0) -> None:
        """Count these messages."""
        self.cpu_s += cpu_s
        for each in tried:
            self.messages += 1
            self.held += each.is_held
            self.held_before += each.was_held
            if each.is_held != each.was_held:
                sides = self.newly_held if each.is_held else self.no_longer_held
                _keep(sides, each.message_id, limit=_SIDES)
            self._count_hits(each)

    def _count_hits(self, tried: TriedMessage) -> None:
        names = [hit.name for hit in tried.result.hits if hit.mode is not Mode.DRAFT]
        for hit in tried.result.hits:
            figures = self.rules.setdefault(hit.name, RuleFigures())
            figures.hits += 1
            figures.failed += hit.has_failed
            figures.alone += len(names) == 1
            figures.upheld += tried.case_state is CaseState.REJECTED
            figures.released += tried.case_state is CaseState.APPROVED
            figures.by_day[tried.day] = figures.by_day.get(tried.day, 0) + 1
            for other in names:
                if other != hit.name:
                    figures.together_with[other] = figures.together_with.get(other, 0) + 1
            _sample(figures, tried.message_id)

    def add(self, other: "BackTest") -> None:
        """Add what another process counted."""
        self.messages += other.messages
        self.held += other.held
        self.held_before += other.held_before
        self.cpu_s += other.cpu_s
        self.newly_held += other.newly_held[: _SIDES - len(self.newly_held)]
        self.no_longer_held += other.no_longer_held[: _SIDES - len(self.no_longer_held)]
        for name, figures in other.rules.items():
            _merge(self.rules.setdefault(name, RuleFigures()), figures)

    def as_json(self) -> dict[str, Any]:
        """Return the figures for programs, with precision in three bins: upheld, released, and never looked at."""
        return {
            "messages": self.messages,
            "held": self.held,
            "held_before": self.held_before,
            "cpu_us_per_message": round(1e6 * self.cpu_s / self.messages, 1) if self.messages else None,
            "rules": {name: _rule_entry(each) for name, each in sorted(self.rules.items())},
            "newly_held": self.newly_held,
            "no_longer_held": self.no_longer_held,
        }


def _rule_entry(figures: RuleFigures) -> dict[str, Any]:
    looked_at = figures.upheld + figures.released
    return {
        "hits": figures.hits,
        "alone": figures.alone,
        "failed": figures.failed,
        "staff_upheld": figures.upheld,
        "staff_released": figures.released,
        "never_looked_at": figures.hits - looked_at,
        "precision_where_looked_at": share(figures.upheld, looked_at),
        "by_day": dict(sorted(figures.by_day.items())),
        "together_with": dict(sorted(figures.together_with.items())),
        "samples": figures.samples,
    }


def _merge(mine: RuleFigures, theirs: RuleFigures) -> None:
    for name in ("hits", "alone", "failed", "upheld", "released"):
        setattr(mine, name, getattr(mine, name) + getattr(theirs, name))
    _add_counts(mine.by_day, theirs.by_day)
    _add_counts(mine.together_with, theirs.together_with)
    both = mine.samples + theirs.samples
    mine.samples = both if len(both) <= SAMPLES else sorted(random.Random(mine.hits).sample(both, SAMPLES))  # noqa: S311


def _add_counts(mine: dict[str, int], theirs: Mapping[str, int]) -> None:
    for key, number in theirs.items():
        mine[key] = mine.get(key, 0) + number


def _keep(ids: list[str], message_id: str, *, limit: int) -> None:
    if len(ids) < limit:
        ids.append(message_id)


def _sample(figures: RuleFigures, message_id: str) -> None:
    """Keep a fair sample of the hits: each is kept with the same chance (Vitter 1985, algorithm R)."""
    if len(figures.samples) < SAMPLES:
        figures.samples.append(message_id)
        return
    place = random.Random(f"{message_id}{figures.hits}").randrange(figures.hits)  # noqa: S311 - a sample, no secret
    if place < SAMPLES:
        figures.samples[place] = message_id
