"""A text cut into pieces for people who decide about it: what was found in it, and what no reader sees."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, auto

from delivery.detection.folding import fold, is_invisible
from delivery.detection.phrases import occurrences

_MOST_PHRASES = 40
_PLAIN_CONTROLS = "\n\t"


class PieceKind(StrEnum):
    """What a piece of a text is."""

    PLAIN = auto()
    FOUND = auto()
    """A rule or phrase found it."""
    UNSEEN = auto()
    """A character that no reader sees, or one that changes the direction of others."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text. `name` is that of the Unicode character, for one that is not seen."""

    kind: PieceKind
    text: str
    name: str = ""


def marked(text: str, phrases: Iterable[str]) -> tuple[Piece, ...]:
    """Return the text in pieces, with each place where a person would read one of these phrases marked."""
    spans = _merged(span for phrase in list(dict.fromkeys(phrases))[:_MOST_PHRASES] for span in spans_of(text, phrase))
    return tuple(_cut(text, spans))


def spelled_out(text: str) -> tuple[Piece, ...]:
    """Return the text as it is stored, with each character that is not seen as a piece of its own, `U+200B`."""
    pieces: list[Piece] = []
    plain = ""
    for character in text:
        if not _is_unseen(character):
            plain += character
            continue
        if plain:
            pieces.append(Piece(PieceKind.PLAIN, plain))
            plain = ""
        name = unicodedata.name(character, "control character").lower()
        pieces.append(Piece(PieceKind.UNSEEN, f"U+{ord(character):04X}", name))
    return (*pieces, Piece(PieceKind.PLAIN, plain)) if plain else tuple(pieces)


def count_unseen(text: str) -> int:
    """Return how many characters of the text no reader sees."""
    return 0 if text.isascii() and text.isprintable() else sum(map(_is_unseen, text))


def spans_of(text: str, phrase: str) -> list[tuple[int, int]]:
    """Return where a person would read the phrase, as offsets into the text, look-alikes and odd spacing included."""
    wanted = fold(phrase)
    if not wanted.letters:
        return []
    folded = fold(text)
    found = list(occurrences(folded, wanted))
    if not found:
        return []
    places = [at for at, character in enumerate(text) for _ in fold(character).letters]
    return [(places[start], places[end - 1] + 1) for start, end in found if end <= len(places)]


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _cut(text: str, spans: list[tuple[int, int]]) -> Iterator[Piece]:
    at = 0
    for start, end in spans:
        if at < start:
            yield Piece(PieceKind.PLAIN, text[at:start])
        yield Piece(PieceKind.FOUND, text[start:end])
        at = end
    if at < len(text):
        yield Piece(PieceKind.PLAIN, text[at:])


def _is_unseen(character: str) -> bool:
    if character in _PLAIN_CONTROLS:
        return False
    return is_invisible(character) or unicodedata.category(character) in {"Cc", "Cs", "Co", "Zl", "Zp"}
