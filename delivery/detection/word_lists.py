"""Word lists: which entries of any number of lists a text has, found in one pass over its folded words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ahocorasick_rs import AhoCorasick, Implementation

from delivery.detection.folding import FoldedText, fold

_GAP_MARK = "~"
_GAP = 75
"""How many characters may stand between the two parts of an entry such as `new ~ account`: about twelve words."""

_SPLIT_LETTERS = 4
"""So many words of one letter in a row are a word that was split, as in `g-i-f-t`."""

_SPLITS_LIMIT = 20


@dataclass(frozen=True, slots=True)
class ListHit:
    """An entry that a text has, and where: offsets into its folded words with a blank around each."""

    list_name: str
    entry: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Second:
    """The second part of an entry with a gap: the pattern of its first part, and the entry."""

    first: int
    list_name: str
    entry: str


@dataclass(slots=True)
class _Patterns:
    """The patterns of all entries, each with what it means where it is found."""

    numbers: dict[str, int] = field(default_factory=dict)
    whole: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    seconds: dict[int, list[_Second]] = field(default_factory=dict)
    firsts: set[int] = field(default_factory=set)

    def add(self, list_name: str, entry: str) -> None:
        """Add an entry. One without a letter or digit is left out."""
        parts = [part for part in map(_pattern, entry.split(_GAP_MARK)) if part.strip()]
        if len(parts) == 1:
            # Written as one word too: `giftcard`.
            for each in {parts[0], _joined(parts[0])}:
                self.whole.setdefault(self._number(each), []).append((list_name, entry))
        elif parts:
            first = self._number(parts[0])
            self.firsts.add(first)
            second = _Second(first, list_name, entry)
            self.seconds.setdefault(self._number(parts[1]), []).append(second)

    def _number(self, pattern: str) -> int:
        return self.numbers.setdefault(pattern, len(self.numbers))


@dataclass(frozen=True, slots=True)
class WordLists:
    """Lists of phrases, searched together. Build it with `of`; it is read by any number of threads."""

    fact_names: tuple[str, ...]
    """`list.NAME` for every list."""
    _patterns: _Patterns = field(default_factory=_Patterns)
    _automaton: AhoCorasick | None = None

    @classmethod
    def of(cls, lists: Mapping[str, Iterable[str]]) -> "WordLists":
        """Return the lists, ready to search. An entry without a letter or digit is in no text.

        An entry is found as whole words, however they are written or cut: `gift card` in `g-i-f-t cards` too if it ends
        with `*`, which leaves the end of the word open, as a leading `*` does its beginning. `new ~ account` is
        found where the second part follows the first within about twelve words.
        """
        patterns = _Patterns()
        for name, entries in lists.items():
            for entry in entries:
                patterns.add(name, entry)
        numbers = list(patterns.numbers)
        automaton = AhoCorasick(numbers, implementation=Implementation.ContiguousNFA) if numbers else None
        return cls(tuple(f"list.{name}" for name in lists), patterns, automaton)

    def find(self, text: FoldedText) -> list[ListHit]:
        """Return the hits in the text, each entry once per place."""
        if self._automaton is None:
            return []
        hits = self._search(f" {' '.join(text.words)} ")
        for words in _mended(text.words):
            hits += self._search(f" {' '.join(words)} ")
        return hits

    def _search(self, text: str) -> list[ListHit]:
        patterns, hits = self._patterns, []
        seen: dict[int, list[tuple[int, int]]] = {}
        for pattern, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):  # type: ignore[union-attr] # checked
            for list_name, entry in patterns.whole.get(pattern, ()):
                hits.append(ListHit(list_name, entry, start, end))
            for second in patterns.seconds.get(pattern, ()):
                began = _start_before(seen.get(second.first, ()), start)
                if began is not None:
                    hits.append(ListHit(second.list_name, second.entry, began, end))
            if pattern in patterns.firsts:
                seen.setdefault(pattern, []).append((start, end))
        return hits


def _start_before(places: Sequence[tuple[int, int]], start: int) -> int | None:
    """Return where the nearest of these first parts begins that ends shortly before `start`; None for none."""
    for began, ended in reversed(places):
        if start - ended > _GAP:
            return None
        if start - ended >= -1:  # The blank between two words belongs to both.
            return began
    return None


def _mended(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield each place where a word was split into letters, with the words around it and the letters put together.

    Several words that were split in a row are one word then: entries are known as one word too.
    """
    for place in split_words(words):
        before, after = words[max(0, place.start - 2) : place.start], words[place.stop : place.stop + 2]
        # A word of one letter beside it may be a word of its own: `a m-o-n-e-y order`.
        for first, last in ((0, 0), (1, 0), (0, 1)):
            split = words[place.start + first : place.stop - last]
            yield [*before, *words[place.start : place.start + first], "".join(split), *after]


def split_words(words: Sequence[str]) -> Iterator[slice]:
    """Yield where words stand that were split into letters, as in `g-i-f-t`: at most the first twenty."""
    if list(map(len, words)).count(1) < _SPLIT_LETTERS:
        return
    at = found = 0
    for is_letter, run in groupby(words, key=_is_letter):
        length = sum(1 for _ in run)
        if is_letter and length >= _SPLIT_LETTERS and found < _SPLITS_LIMIT:
            found += 1
            yield slice(at, at + length)
        at += length


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word < "\u0e00"  # From Thai on, scripts have no blanks, and each character is a word.


def count_entries(hits: Iterable[ListHit]) -> dict[str, int]:
    """Return for each list how many different entries were found."""
    found = {(hit.list_name, hit.entry) for hit in hits}
    counts: dict[str, int] = {}
    for name, _ in found:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _pattern(text: str) -> str:
    """Return the words of a part, with a blank at each end where a word must begin or end."""
    text = text.strip()
    words = " ".join(fold(text).words)
    return f"{'' if text.startswith('*') else ' '}{words}{'' if text.endswith('*') else ' '}" if words else ""


def _joined(pattern: str) -> str:
    """Return the pattern without blanks between its words. Scripts without blanks have none to lose."""
    if any(character >= "\u0e00" for character in pattern):
        return pattern
    begin, end = pattern[:1] == " ", pattern[-1:] == " "
    return f"{' ' * begin}{pattern.replace(' ', '')}{' ' * end}"
