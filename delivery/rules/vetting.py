"""The vetting rule: phrases and names that hold a message for staff before any recipient gets it."""

from collections.abc import Mapping
from dataclasses import dataclass

from delivery.detection.folding import fold
from delivery.detection.phrases import phrase_list
from delivery.detection.sender_names import misleading_name


@dataclass(frozen=True, slots=True)
class HoldRule:
    """What holds a message: a phrase in one of its texts and, if `holds_names`, a sender's name that misleads."""

    phrases: tuple[str, ...] = ()
    holds_names: bool = False
    platform_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and the field that it is in: `subject`, `body`, `sender_name` or `sender_email`."""

    phrase: str
    field: str
    rule: str = ""
    """The rule that found it; empty for the phrases and names of the settings."""


def find_reasons(texts: Mapping[str, str], rule: HoldRule) -> tuple[Finding, ...]:
    """Return each phrase with each text in which a person would read it, and what misleads in the sender's name.

    `texts` maps field names to texts. What reads alike is what `detection.folding` says.
    """
    found: list[Finding] = []
    if rule.phrases:
        wanted = phrase_list(rule.phrases)
        found = [Finding(phrase, field) for field, text in texts.items() for phrase in wanted.find(fold(text))]
    if rule.holds_names and (kind := misleading_name(texts["sender_name"], rule.platform_names)):
        found.append(Finding(kind, "sender_name"))
    return tuple(found)
