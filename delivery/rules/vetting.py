"""The first vetting rule: phrases that make staff look at a message before anybody receives it."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A phrase that was found, and where: `subject`, `body` or `sender_name`."""

    phrase: str
    field: str


def fold(text: str) -> str:
    """Make text comparable: full-width and other compatibility forms, case and runs of white space fold away."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def find_phrases(texts: dict[str, str], phrases: Iterable[str]) -> tuple[Finding, ...]:
    """Find every phrase in every text (field name to text). An empty phrase is never found."""
    folded = {field: fold(text) for field, text in texts.items()}
    wanted = [(phrase, fold(phrase)) for phrase in phrases]
    return tuple(
        Finding(phrase, field)
        for field, text in folded.items()
        for phrase, needle in wanted
        if needle and needle in text
    )
