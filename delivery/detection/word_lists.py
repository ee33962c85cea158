"""Word lists: which entries of any number of lists a text has, found in one pass over its folded words."""

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from ahocorasick_rs import AhoCorasick, Implementation

from delivery.detection.folding import FoldedText, fold

_GAP_MARK = "~"
_GAP = 75
"""How many characters may stand between the two parts of an entry such as `new ~ account`: about twelve words."""

_LETTER = "[^ \u0e00-\U0010ffff] "
"""From Thai on, scripts have no blanks, and each character is a word."""

_SPLIT_WORD = re.compile(f" {_LETTER * 4}(?:{_LETTER})*")
"""Four words of one letter or more in a row: a word that was split, as in `g-i-f-t`."""

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
    """The second part of an entry with a gap: the pattern of its first part, and the number of the entry."""

    first: int
    entry: int


@dataclass(slots=True)
class _Patterns:
    """The patterns of all entries, each with the entries that it means where it is found."""

    numbers: dict[str, int] = field(default_factory=dict)
    entries: list[tuple[str, str]] = field(default_factory=list)
    """Each list's name with an entry of it."""
    whole: dict[int, tuple[int, ...]] = field(default_factory=dict)
    seconds: dict[int, tuple[_Second, ...]] = field(default_factory=dict)

    def add(self, list_name: str, entry: str) -> None:
        """Add an entry. One without a letter or digit is left out."""
        parts = [part for part in map(_pattern, entry.split(_GAP_MARK)) if part.strip()]
        number = len(self.entries)
        if parts:
            self.entries.append((list_name, entry))
        if len(parts) == 1:
            # Written as one word too: `giftcard`.
            for each in {parts[0], _joined(parts[0])}:
                pattern = self._number(each)
                self.whole[pattern] = (*self.whole.get(pattern, ()), number)
        elif parts:
            second = _Second(self._number(parts[0]), number)
            pattern = self._number(parts[1])
            self.seconds[pattern] = (*self.seconds.get(pattern, ()), second)

    def _number(self, pattern: str) -> int:
        return self.numbers.setdefault(pattern, len(self.numbers))


class _Meanings:
    """What each pattern means where it is found, in little memory: twenty thousand entries are usual."""

    def __init__(self, patterns: _Patterns) -> None:
        self.entries = tuple(patterns.entries)
        self.seconds = patterns.seconds
        self.firsts = frozenset(each.first for seconds in patterns.seconds.values() for each in seconds)
        self._whole, self._ends = array("L"), array("L", [0])
        for pattern in range(len(patterns.numbers)):
            self._whole.extend(patterns.whole.get(pattern, ()))
            self._ends.append(len(self._whole))

    def whole(self, pattern: int) -> "array[int]":
        """Return the numbers of the entries that this pattern is the whole of."""
        return self._whole[self._ends[pattern] : self._ends[pattern + 1]]


@dataclass(frozen=True, slots=True)
class WordLists:
    """Lists of phrases, searched together. Build it with `of`; it is read by any number of threads."""

    fact_names: tuple[str, ...]
    """`list.NAME` for every list."""
    _meanings: _Meanings = field(default_factory=lambda: _Meanings(_Patterns()))
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
        return cls(tuple(f"list.{name}" for name in lists), _Meanings(patterns), automaton)

    def find(self, text: FoldedText) -> list[ListHit]:
        """Return the hits in the text, each entry once per place."""
        if self._automaton is None:
            return []
        hits = self._search(text.line)
        for words in _mended(text):
            hits += self._search(f" {' '.join(words)} ")
        return hits

    def _search(self, text: str) -> list[ListHit]:
        meanings, hits = self._meanings, []
        seen: dict[int, list[tuple[int, int]]] = {}
        for pattern, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):  # type: ignore[union-attr] # checked
            hits += [ListHit(*meanings.entries[number], start, end) for number in meanings.whole(pattern)]
            for second in meanings.seconds.get(pattern, ()):
                began = _start_before(seen.get(second.first, ()), start)
                if began is not None:
                    hits.append(ListHit(*meanings.entries[second.entry], began, end))
            if pattern in meanings.firsts:
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


def _mended(text: FoldedText) -> Iterator[list[str]]:
    """Yield each place where a word was split into letters, with the words around it and the letters put together.

    Several words that were split in a row are one word then: entries are known as one word too.
    """
    for place in split_words(text):
        words = text.words
        before, after = words[max(0, place.start - 2) : place.start], words[place.stop : place.stop + 2]
        # A word of one letter beside it may be a word of its own: `a m-o-n-e-y order`.
        for first, last in ((0, 0), (1, 0), (0, 1)):
            split = words[place.start + first : place.stop - last]
            yield [*before, *words[place.start : place.start + first], "".join(split), *after]


def split_words(text: FoldedText) -> Iterator[slice]:
    """Yield which words are single letters of a word that was split, as in `g-i-f-t`: at most the first twenty."""
    for match in islice(_SPLIT_WORD.finditer(text.line), _SPLITS_LIMIT):
        at = text.line.count(" ", 0, match.start())
        yield slice(at, at + match[0].count(" ") - 1)


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
    words = fold(text).line.strip()
    return f"{'' if text.startswith('*') else ' '}{words}{'' if text.endswith('*') else ' '}" if words else ""


def _joined(pattern: str) -> str:
    """Return the pattern without blanks between its words. Scripts without blanks have none to lose."""
    if any(character >= "\u0e00" for character in pattern):
        return pattern
    begin, end = pattern[:1] == " ", pattern[-1:] == " "
    return f"{' ' * begin}{pattern.replace(' ', '')}{' ' * end}"
