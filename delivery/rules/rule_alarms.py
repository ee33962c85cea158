"""Rules that an operator should look at: young ones that hold too much, and those that fail on messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from delivery.rules.expressions import names_in

YOUNG = timedelta(days=1)
"""A rule that has held messages for less than this is young."""
_HELD_PERCENT = 5
_SENDERS = 10
_DOMAIN_LISTS = {
    "text.short_links": "shorteners",
    "text.file_links": "file_shares",
    "sender.has_free_mail": "free_mail",
}
"""The facts that depend on a list of domains, each with the name of its list."""
_LOOKED_AT = 5
"""So many cases staff must have decided before a rule stops holding by itself."""


class AlarmKind(StrEnum):
    """What is wrong with a rule."""

    HOLDS_TOO_MUCH = "holds_too_much"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class StoredSet:
    """A rule set as it is stored: its number, when it was made, and its document without the entries of lists."""

    number: int
    made_at: datetime
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class YoungRule:
    """A live rule that changed less than a day ago: itself, a list or a score that it asks for."""

    name: str
    version: int
    since: datetime
    first_set: int


@dataclass(frozen=True, slots=True)
class HeldShare:
    """Of the messages judged since a rule went live: how many it held, of how many senders, and what staff decided."""

    judged: int
    held: int
    senders: int
    upheld: int
    released: int

    @property
    def is_too_much(self) -> bool:
        """Whether more than 5 per cent are held, from at least 10 senders."""
        return self.held * 100 > self.judged * _HELD_PERCENT and self.senders >= _SENDERS

    @property
    def is_mostly_released(self) -> bool:
        """Whether staff released most of what they looked at, five messages at least."""
        return self.upheld + self.released >= _LOOKED_AT and self.released > self.upheld


@dataclass(frozen=True, slots=True)
class RuleAlarm:
    """A rule that an operator should look at. Of one that fails, `share.held` is how many messages it failed on."""

    kind: AlarmKind
    name: str
    version: int
    share: HeldShare

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def young_rules(newest_first: Sequence[StoredSet], now: datetime) -> list[YoungRule]:
    """Return the live rules of the newest set that are not what they were a day ago.

    The sets are those of the last day, and the one that was in force before it, if there was one.
    """
    if not newest_first or newest_first[0].made_at <= now - YOUNG:
        return []
    found = []
    for name, version, print_ in _live(newest_first[0].document):
        same = 0
        while same < len(newest_first) and (name, version, print_) in _live(newest_first[same].document):
            same += 1
        first = newest_first[same - 1]
        if first.made_at > now - YOUNG:
            found.append(YoungRule(name, version, first.made_at, first.number))
    return found


def _live(document: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return each live rule that holds or refuses: name, version, and all else that its hits depend on."""
    return [
        (rule["name"], rule.get("version", 1), _fingerprint(document, rule))
        for rule in document.get("rules", ())
        if rule.get("mode") == "live" and rule.get("action", "hold") != "note"
    ]


def _fingerprint(document: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    scores = document.get("scores", {})
    asked = set(names_in(rule.get("when", "")))
    terms = [term for name in sorted(asked) for term in scores.get(name.removeprefix("score."), ()) if "score." in name]
    asked = asked.union(*(names_in(term["when"]) for term in terms))
    wanted = {name.removeprefix("list.") for name in asked} | {_DOMAIN_LISTS.get(name) for name in asked}
    digests = [each.get("digest") for each in document.get("lists", ()) if each["name"] in wanted]
    return repr((rule.get("action"), rule.get("when", ""), terms, digests))
