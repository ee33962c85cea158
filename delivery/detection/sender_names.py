"""Names of senders that mislead the readers of a mailbox."""

import re
import unicodedata
from enum import StrEnum

from delivery.detection.folding import fold, is_invisible
from delivery.detection.phrases import phrase_list

_ADDRESS_MARKS = re.compile(r"[@<>]|://|\bwww\.")
_MARKS_IN_A_ROW = 3  # Vietnamese has two on one letter; scripts of India and Thailand up to three.
_BLANKS_IN_A_ROW = re.compile(r"\s{5}")
_JOINERS = "\u200c\u200d"
_EMOJI_STYLE = "\ufe0f"
_LOOKING_ALIKE = ("LATIN", "CYRILLIC", "GREEK")


class MisleadingName(StrEnum):
    """Why a sender's name misleads. The value is a sentence's end: "the name has ..."."""

    ADDRESS = "an e-mail address or a link"
    PLATFORM = "the name of this platform"
    HIDDEN = "hidden characters, or letters of several scripts in one word"


def misleading_name(name: str, platform_names: tuple[str, ...]) -> MisleadingName | None:
    """Return why this name of a sender misleads, None if it does not.

    The name of the platform counts as a person reads it: `P0stroom Support` has that of Postroom.
    """
    if _ADDRESS_MARKS.search(unicodedata.normalize("NFKC", name).casefold()):
        return MisleadingName.ADDRESS
    if platform_names and phrase_list(platform_names).find(fold(name)):
        return MisleadingName.PLATFORM
    return MisleadingName.HIDDEN if _BLANKS_IN_A_ROW.search(name) or _hides(name) else None


def without_hidden(name: str) -> str:
    """Return the name without invisible characters, and with single blanks between its words."""
    return " ".join("".join(each for each in name if not is_invisible(each)).split())


def _hides(name: str) -> bool:
    if name.isascii():
        return False
    marks = 0
    for index, character in enumerate(name):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MARKS_IN_A_ROW or (is_invisible(character) and not _is_needed(name, index)):
            return True
    return any(_mixes_scripts(word) for word in re.findall(r"[^\W\d_]+", name))


def _is_needed(name: str, index: int) -> bool:
    """Whether this invisible character is part of correct spelling: in emoji, and in scripts whose letters join."""
    character, before = name[index], name[index - 1] if index else ""
    if character == _EMOJI_STYLE:
        return unicodedata.category(before or " ") in {"So", "Po", "Nd", "Sm"}
    return character in _JOINERS and bool(before) and not unicodedata.name(before, "").startswith(_LOOKING_ALIKE)


def _mixes_scripts(word: str) -> bool:
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
    return len(scripts.intersection(_LOOKING_ALIKE)) > 1
