"""docs/glossary.md has a line for every coined word and for every word of the vocabulary."""

import re
from enum import StrEnum

import pytest

from tests.shape.codebase import read_text, vocabulary_enums

# Coined words, and standard ones that mean something narrower here. Add the line in the glossary first.
COINED = (
    "backlog",
    "bell",
    "claim",
    "crash point",
    "doctor",
    "doorbell",
    "draft",
    "epoch",
    "fence",
    "grace",
    "journal",
    "lane",
    "lease",
    "mail sink",
    "poison",
    "quiet hours",
    "relay",
    "release",
    "supervisor",
    "sweep",
    "verdict",
    "vetting case",
    "why",
)
_PAGE = read_text("docs/glossary.md")
_ROW = re.compile(r"^\| (?!Word \||---)`?([^|`]+?)`? \| .+\S \|$", re.MULTILINE)


def section(title: str) -> str:
    """Return the text below a heading, up to the next one."""
    return re.split(rf"^#+ {title}$", _PAGE, flags=re.MULTILINE)[-1].partition("\n#")[0]


def words_of(title: str) -> list[str]:
    """Return the words that a section explains, in their order."""
    return _ROW.findall(section(title))


def test_every_coined_word_has_a_line() -> None:
    assert set() == set(COINED) - set(words_of("Coined words"))


@pytest.mark.parametrize("title", ["Coined words", "Domain words"])
def test_a_list_of_words_is_sorted_and_has_each_word_once(title: str) -> None:
    assert sorted(set(words_of(title))) == words_of(title)


@pytest.mark.parametrize("words", vocabulary_enums(), ids=lambda each: each.__name__)
def test_every_word_of_the_vocabulary_has_a_line_and_no_line_is_left_over(words: type[StrEnum]) -> None:
    assert list(words) == words_of(words.__name__)
