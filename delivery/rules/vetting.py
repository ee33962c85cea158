"""The vetting rule: phrases that hold a message for staff before any recipient gets it."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A phrase that was found, and the field that it is in: `subject`, `body` or `sender_name`."""

    phrase: str
    field: str


def fold(text: str) -> str:
    """Make texts comparable: remove differences of compatibility forms (Unicode NFKC), case and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def find_phrases(texts: dict[str, str], phrases: Iterable[str]) -> tuple[Finding, ...]:
    """Return each phrase with each text that contains it; `texts` maps field names to texts.

    A blank phrase is in no text.
    """
    folded = {field: fold(text) for field, text in texts.items()}
    wanted = [(phrase, fold(phrase)) for phrase in phrases]
    return tuple(
        Finding(phrase, field)
        for field, text in folded.items()
        for phrase, needle in wanted
        if needle and needle in text
    )
