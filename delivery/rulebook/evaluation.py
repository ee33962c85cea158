"""How often a rule set and people agree about labelled scenes, with intervals that say how sure that is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from delivery.rulebook.scenes import Scene
from delivery.rules.rule_engine import RuleEngine, RuleResult
from delivery.rules.rule_set import ListKind, Mode, RuleSet, WordList
from delivery.vocabulary import RuleVerdict

_Z = 1.959964
_BASE_RATE = 0.01
_STAND_INS = {
    "shorteners": ("lnk.example", "sho.example", "tiny.test"),
    "file_shares": ("drop.example", "bigfiles.test"),
    "free_mail": ("freemail.example", "inbox.test"),
}
"""Names in scenes that stand for services of a kind, by the list that they are on."""


@dataclass(frozen=True, slots=True)
class EvaluatedScene:
    """A scene and what the rules made of it."""

    scene: Scene
    result: RuleResult

    @property
    def is_held(self) -> bool:
        """Whether the message would not have arrived without staff: held or refused."""
        return self.result.verdict is not RuleVerdict.PASS


def for_scenes(rule_set: RuleSet) -> RuleSet:
    """Return the set as scenes are judged by: on the platform Lingua Square, with their stand-in names on the lists."""
    lists = {each.name: each for each in rule_set.lists}
    for name, domains in _STAND_INS.items():
        known = lists.get(name, WordList(name, (), ListKind.DOMAINS))
        lists[name] = replace(known, entries=(*known.entries, *domains))
    return replace(
        rule_set,
        lists=tuple(lists.values()),
        platform_names=("Lingua Square",),
        platform_domains=("linguasquare.example",),
    )


def evaluate_scenes(engine: RuleEngine, scenes: Iterable[Scene]) -> list[EvaluatedScene]:
    """Judge each scene for itself, from the scene alone."""
    return [EvaluatedScene(scene, engine.apply(engine.read(scene.message), scene.history)) for scene in scenes]


def answer(rule_set: RuleSet, digest: str, judged: Sequence[EvaluatedScene]) -> dict[str, Any]:
    """Return the answer of `postroom rules evaluate --json`, format 1."""
    labelled = [each for each in judged if each.scene.label is not None]
    return {
        "format": 1,
        "rule_set": f"{rule_set.number}:{digest}",
        "scenes": [_scene_entry(each) for each in judged],
        "summary": {
            "scenes": len(judged),
            "labelled": len(labelled),
            "all": group(labelled),
            "by_family": _grouped(labelled, lambda each: each.family),
            "by_language": _grouped(labelled, lambda each: each.language.partition("-")[0].lower()),
            "by_difficulty": _grouped(labelled, lambda each: each.difficulty),
            "by_trust": _grouped(labelled, lambda each: each.client.trust),
            "by_rule": _by_rule(labelled),
            "at_base_rate": at_base_rate(labelled),
        },
    }


def _scene_entry(judged: EvaluatedScene) -> dict[str, Any]:
    hits = sorted((hit for hit in judged.result.hits if hit.mode is Mode.LIVE), key=lambda hit: hit.name)
    return {
        "id": judged.scene.id,
        "label": judged.scene.label,
        "verdict": judged.result.verdict.value,
        "rules": [{"name": hit.name, "action": hit.action.value} for hit in hits if not hit.has_failed],
        "failed": [hit.name for hit in hits if hit.has_failed],
    }


@dataclass(frozen=True, slots=True)
class Counts:
    """How rules and people agree: held rightly and wrongly, missed, passed rightly."""

    held_rightly: int
    held_wrongly: int
    missed: int
    passed_rightly: int

    @property
    def precision(self) -> tuple[int, int]:
        """Scenes held rightly, of those held."""
        return self.held_rightly, self.held_rightly + self.held_wrongly

    @property
    def recall(self) -> tuple[int, int]:
        """Scenes held rightly, of those to hold."""
        return self.held_rightly, self.held_rightly + self.missed

    @property
    def false_hold_rate(self) -> tuple[int, int]:
        """Scenes held wrongly, of those to pass."""
        return self.held_wrongly, self.held_wrongly + self.passed_rightly


def count(judged: Iterable[EvaluatedScene]) -> Counts:
    """Count labelled scenes by what they are and what became of them."""
    pairs = [(each.scene.label, each.is_held) for each in judged]
    return Counts(
        pairs.count(("hold", True)),
        pairs.count(("pass", True)),
        pairs.count(("hold", False)),
        pairs.count(("pass", False)),
    )


def group(judged: Iterable[EvaluatedScene]) -> dict[str, Any]:
    """Return the counts and shares of these labelled scenes."""
    counts = count(judged)
    return {
        "held_rightly": counts.held_rightly,
        "held_wrongly": counts.held_wrongly,
        "missed": counts.missed,
        "passed_rightly": counts.passed_rightly,
        "precision": share(*counts.precision),
        "recall": share(*counts.recall),
        "false_hold_rate": share(*counts.false_hold_rate),
    }


def share(part: int, whole: int) -> dict[str, float | int] | None:
    """Return a share with its Wilson interval at 95 per cent and what it is a share of; None of nothing."""
    if whole == 0:
        return None
    low, high = wilson(part, whole)
    return {"value": round(part / whole, 4), "low": round(low, 4), "high": round(high, 4), "of": whole}


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return Wilson's interval at 95 per cent for `part` of `whole`, which is above 0 (Wilson 1927)."""
    p, z2 = part / whole, _Z * _Z
    centre = (p + z2 / (2 * whole)) / (1 + z2 / whole)
    half = _Z / (1 + z2 / whole) * sqrt(p * (1 - p) / whole + z2 / (4 * whole * whole))
    return max(0.0, centre - half), min(1.0, centre + half)


def at_base_rate(judged: Iterable[EvaluatedScene]) -> dict[str, float | None]:
    """Return what the figures mean where one message in a hundred is bad, far fewer than in a file of scenes."""
    counts = count(judged)
    (hit, bad), (wrong, good) = counts.recall, counts.false_hold_rate
    if not bad or not good:
        return {"base_rate": _BASE_RATE, "hold_rate": None, "precision": None}
    rightly = _BASE_RATE * hit / bad
    rate = rightly + (1 - _BASE_RATE) * wrong / good
    if rate == 0:
        return {"base_rate": _BASE_RATE, "hold_rate": None, "precision": None}
    return {"base_rate": _BASE_RATE, "hold_rate": round(rate, 4), "precision": round(rightly / rate, 4)}


def _grouped(judged: Sequence[EvaluatedScene], key: Callable[[Scene], str]) -> dict[str, Any]:
    values = sorted({key(each.scene) for each in judged})
    return {value: group([each for each in judged if key(each.scene) == value]) for value in values}


def _by_rule(judged: Sequence[EvaluatedScene]) -> dict[str, Any]:
    hits: dict[str, list[EvaluatedScene]] = {}
    for each in judged:
        for name in sorted({hit.name for hit in each.result.hits if hit.mode is Mode.LIVE and not hit.has_failed}):
            hits.setdefault(name, []).append(each)
    return {name: _rule_entry(found) for name, found in sorted(hits.items())}


def _rule_entry(found: Sequence[EvaluatedScene]) -> dict[str, Any]:
    rightly = sum(each.scene.label == "hold" for each in found)
    return {"hits": len(found), "hits_on_hold": rightly, "precision": share(rightly, len(found))}


def report(given: Mapping[str, Any]) -> str:
    """Return the answer for people: figures by group, rules by wrong holds, and what was missed or wrongly held."""
    summary = given["summary"]
    lines = [f"{summary['scenes']} scenes, {summary['labelled']} of them labelled", ""]
    for kind in ("family", "language", "difficulty", "trust"):
        lines += [_row(kind, "scenes", "right", "wrong", "missed", "precision", "recall")]
        lines += [_group_row(name, figures) for name, figures in summary[f"by_{kind}"].items()] + [""]
    rules = sorted(summary["by_rule"].items(), key=lambda item: item[1]["hits_on_hold"] - item[1]["hits"])
    lines += [_row("rule", "hits", "right", "wrong")]
    lines += [
        _row(name, each["hits"], each["hits_on_hold"], each["hits"] - each["hits_on_hold"]) for name, each in rules
    ]
    for title, label, is_held in (("missed", "hold", False), ("wrongly held", "pass", True)):
        ids = [
            each["id"] for each in given["scenes"] if each["label"] == label and (each["verdict"] != "pass") == is_held
        ]
        lines += ["", f"{title} ({len(ids)}): {', '.join(ids) or 'none'}"]
    overall = summary["all"]
    rate = summary["at_base_rate"]["hold_rate"]
    last = (
        f"precision {_shown(overall['precision'])}, recall {_shown(overall['recall'])}, "
        f"hold rate at 1 % base rate {'-' if rate is None else f'{rate:.3f}'}"
    )
    return "\n".join([*lines, "", last])


def _group_row(name: str, figures: Mapping[str, Any]) -> str:
    counts = [figures[key] for key in ("held_rightly", "held_wrongly", "missed", "passed_rightly")]
    shares = [figures[key] for key in ("precision", "recall")]
    return _row(name, sum(counts), *counts[:3], *("-" if each is None else f"{each['value']:.3f}" for each in shares))


def _row(name: str, *cells: object) -> str:
    return f"{name:<34}" + "".join(f"{cell!s:>10}" for cell in cells)


def _shown(given: Mapping[str, float] | None) -> str:
    return "-" if given is None else f"{given['value']:.3f} [{given['low']:.3f}, {given['high']:.3f}]"
