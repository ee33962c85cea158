"""Folding: the words of a text as a person reads them, whatever characters they are written with.

Two texts that look alike fold alike. These make no difference: compatibility forms (Unicode NFKD), case, marks,
invisible characters (Default_Ignorable and other format characters), digits of any script, letters of other scripts
that look Latin (UTS 39), and digits in place of letters (`g1ft`).
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from delivery.detection.look_alikes import LOOK_ALIKES, READ_AS_LETTERS

_BREAK = " "
_CHARACTERS_KEPT = 50_000
_WORDS_KEPT = 10_000
_LONGEST_WORD_KEPT = 40
"""A process keeps so much of what it has folded: at most about 9 MB, and half a megabyte in one language."""

_NAMED_AFTER_LETTER = re.compile(
    r"(?:LATIN (?:CAPITAL|SMALL) LETTER(?: DOTLESS)?|LATIN LETTER SMALL CAPITAL|SYMBOL LETTER) ([A-Z])(?: WITH .*)?$"
)
"""Letters that Unicode does not decompose: with a stroke, small capitals, regional indicators, in negative squares."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point, interlinear annotation marks and the empty braille pattern."""

_WITHOUT_BLANKS = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Scripts that put no blank between words (Thai, Lao, Myanmar, Khmer, kana, ideographs): each character is a word."""

_LATIN_FOR = {ord(character): letter for letter, characters in LOOK_ALIKES.items() for character in characters} | {
    ord(character): letter for character, letter in READ_AS_LETTERS.items()
}


@dataclass(frozen=True)
class FoldedText:
    """The words of a text, of letters and digits only. Texts of equal `letters` look alike."""

    line: str = _BREAK
    """All words, with a blank before and after each; a single blank for none."""

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words in their order."""
        return tuple(self.line.split())

    @cached_property
    def letters(self) -> str:
        """All words without anything between them."""
        return self.line.replace(_BREAK, "")

    @cached_property
    def word_starts(self) -> frozenset[int]:
        """Where words begin, as offsets into `letters`, with its length as the last."""
        return frozenset(accumulate(map(len, self.words), initial=0))


def fold(text: str) -> FoldedText:
    """Fold a text of any length. A text without a letter or digit folds to none.

    A thousand characters take about 2 us in ASCII. In other scripts they take 10 us where the words came before, 50 us
    where they did not.
    """
    folded = _fold_ascii(text) if text.isascii() else _BREAK.join(map(_WORDS.__getitem__, text.split(_BREAK)))
    line = f"{_BREAK}{folded.strip()}{_BREAK}"
    while "  " in line:
        line = line.replace("  ", _BREAK)
    return FoldedText(line)


def text_key(folded: FoldedText) -> int:
    """Return a hash of the letters, a signed number of 64 bits. Texts that read alike have the same."""
    letters = folded.line.encode("utf-8", "surrogatepass").translate(None, _BREAK.encode())
    return int.from_bytes(hashlib.blake2b(letters, digest_size=8).digest(), signed=True)


def without_invisible(text: str) -> str:
    """Return the text without the characters that no reader sees."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def is_invisible(character: str) -> bool:
    """Whether readers see nothing of this character: not a blank, but no character at all."""
    return bool(_INVISIBLE.match(character)) or unicodedata.category(character) == "Cf"


class _Folds(dict[int, str]):
    """What each code point folds to: letters, nothing, or a break between words. Filled as characters occur."""

    def __missing__(self, code_point: int) -> str:
        folded = _fold_character(chr(code_point))
        if len(self) < _CHARACTERS_KEPT:
            self[code_point] = folded
        return folded


class _Words(dict[str, str]):
    """What words fold to, letter by letter. Most words of a language come again, and then cost one look.

    A full dictionary is emptied before it keeps another word.
    """

    def __missing__(self, word: str) -> str:
        folded = word.translate(_FOLDS)
        if len(word) <= _LONGEST_WORD_KEPT:
            if len(self) >= _WORDS_KEPT:
                self.clear()
            self[word] = folded
        return folded


def _fold_character(character: str) -> str:
    if is_invisible(character) or unicodedata.combining(character):
        return ""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    letters = "".join(_fold_part(part) for part in parts)
    if not letters:
        return _BREAK if any(unicodedata.category(part)[0] != "M" for part in parts) else ""
    return f"{_BREAK}{letters}{_BREAK}" if _WITHOUT_BLANKS.match(character) else letters


def _fold_part(part: str) -> str:
    if named := _NAMED_AFTER_LETTER.search(unicodedata.name(part, "")):
        part = named[1].lower()
    part = _LATIN_FOR.get(ord(part), part)
    if (digit := unicodedata.digit(part, None)) is not None:
        part = READ_AS_LETTERS.get(str(digit), str(digit))
    part = READ_AS_LETTERS.get(part, part)
    return part if part.isalnum() else ""


_FOLDS = _Folds()
_WORDS = _Words()
_ASCII = bytes(ord(_FOLDS[code_point]) for code_point in range(128)).ljust(256)
"""What the characters of ASCII fold to. Each is one character or a break: none of them is invisible."""


def _fold_ascii(text: str) -> str:
    return text.encode().translate(_ASCII).decode()
