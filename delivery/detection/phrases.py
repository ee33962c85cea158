"""Phrases in a text, found as a person reads them: through look-alikes, invisible characters and odd spacing."""

from collections.abc import Iterator
from functools import lru_cache

from delivery.detection.folding import FoldedText, fold


class PhraseList:
    """Phrases to look for. One without a letter or digit is in no text."""

    def __init__(self, phrases: tuple[str, ...]) -> None:
        folded = [(phrase, fold(phrase)) for phrase in phrases]
        self._wanted = [(phrase, needle) for phrase, needle in folded if needle.letters]

    def find(self, text: FoldedText) -> tuple[str, ...]:
        """Return the phrases that the text has, in the order of the list."""
        return tuple(phrase for phrase, needle in self._wanted if _has_phrase(text, needle))


@lru_cache(maxsize=8)
def phrase_list(phrases: tuple[str, ...]) -> PhraseList:
    """Return the list of these phrases. It is made once for a process that asks for the same ones again."""
    return PhraseList(phrases)


def occurrences(text: FoldedText, phrase: FoldedText) -> Iterator[tuple[int, int]]:
    """Yield where the text is read as the phrase, as offsets into its letters. The phrase has a letter or digit."""
    start = text.letters.find(phrase.letters)
    while start >= 0:
        if _reads_as(text, phrase, start):
            yield start, start + len(phrase.letters)
        start = text.letters.find(phrase.letters, start + 1)


def _has_phrase(text: FoldedText, phrase: FoldedText) -> bool:
    return next(occurrences(text, phrase), None) is not None


def _reads_as(text: FoldedText, phrase: FoldedText, start: int) -> bool:
    """Whether the letters that the text has from `start` are read as the phrase: not those of `gift car dealer`.

    Either the match is made of whole words, however they are cut (`g i f t`), or words begin in it only where the
    phrase has them.
    """
    end = start + len(phrase.letters)
    if start in text.word_starts and end in text.word_starts:
        return True
    return all(at - start in phrase.word_starts for at in range(start + 1, end) if at in text.word_starts)
