"""Word lists: which entries of any number of lists a text has, found in one pass over its folded words."""

import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, islice
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick, Implementation

from delivery.detection.folding import FoldedText, fold

_FACT_PREFIX = "list."
_GAP_MARK = "~"
_GAP = 75
"""How many characters may stand between the two parts of an entry such as `new ~ account`: about twelve words."""

_WHOLE, _GAPPED = 1, 2
_NO_ENTRY = -1
_SHARED = 1
"""The blank between two words belongs to both parts."""

_LETTER = "[^ \u0e00-\U0010ffff] "
"""From Thai on, scripts have no blanks, and each character is a word."""

_SPLIT_WORD = re.compile(f" {_LETTER * 4}(?:{_LETTER})*")
"""Four words of one letter or more in a row: a word that was split, as in `g-i-f-t`."""

_SPLITS_LIMIT = 20
_PLACES_LIMIT = 20
"""So many places of one entry are kept. Staff are shown no more, and a text of nothing but entries ends soon."""


@dataclass(frozen=True, slots=True)
class ListHit:
    """An entry that a text has, and where: offsets into its folded words with a blank around each."""

    list_name: str
    entry: str
    start: int
    end: int


class _Place(NamedTuple):
    """Where an entry stands. The order of places is that of their ends; of those with one end, the longest is first."""

    end: int
    start_of_last: int
    """Where the second part starts; for an entry without a gap, its start."""
    parts: int
    entry: int
    start: int


class _Gap(NamedTuple):
    """An entry with a gap: its number and its two parts."""

    entry: int
    first: str
    second: str

    def start_before(self, text: str, start: int) -> int:
        """Return where the nearest first part starts that ends shortly before `start`; -1 for none."""
        return text.rfind(self.first, max(0, start - _GAP - len(self.first)), start + _SHARED)

    def places_before(self, text: str, start: int, end: int) -> list[_Place]:
        """Return where the entry stands with its second part here."""
        began = self.start_before(text, start)
        return [_Place(end, start, _GAPPED, self.entry, began)] if began >= 0 else []

    def places_after(self, text: str, start: int, end: int) -> Iterator[_Place]:
        """Yield where the entry stands with its first part here."""
        limit = end + _GAP + len(self.second)
        at = text.find(self.second, end - _SHARED, limit)
        while at >= 0:
            if self.start_before(text, at) == start:
                yield _Place(at + len(self.second), at, _GAPPED, self.entry, start)
            at = text.find(self.second, at + 1, limit)


_GapSearch = tuple[int, Callable[[str, int, int], Iterable[_Place]]]
"""The number of an entry, and a function that finds it with one of its parts at a place."""


_Match = tuple[int, int, int]
"""The number of a pattern, and the start and end of a place where it stands."""


class _Patterns:
    """The patterns to search for, and what each means where it is found: forty thousand entries are usual."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        """Each pattern with its number. It is needed to build the automaton only."""
        # Nearly all patterns are of one entry: an array needs a tenth of the memory of tuples.
        self._one = array("i")
        self._others: dict[int, tuple[int, ...]] = {}
        self._firsts: dict[int, tuple[_Gap, ...]] = {}
        self._seconds: dict[int, tuple[_Gap, ...]] = {}

    def add(self, number: int, entry: str) -> None:
        """Add an entry with this number. One without a letter or digit is left out."""
        parts = [part for part in map(_pattern, entry.split(_GAP_MARK)) if part.strip()]
        if len(parts) == 1:
            # Written as one word too: `giftcard`.
            for each in {parts[0], _joined(parts[0])}:
                self._add_whole(self._number(each), number)
        elif parts:
            self._add_gap(_Gap(number, parts[0], parts[1]))

    def _add_whole(self, pattern: int, entry: int) -> None:
        if self._one[pattern] == _NO_ENTRY:
            self._one[pattern] = entry
        else:
            self._others[pattern] = (*self._others.get(pattern, ()), entry)

    def _add_gap(self, gap: _Gap) -> None:
        """Add an entry with a gap by its longer part, which is in fewer texts. The other is looked for beside it."""
        is_by_first = len(gap.first) > len(gap.second)
        pattern = self._number(gap.first if is_by_first else gap.second)
        gaps = self._firsts if is_by_first else self._seconds
        gaps[pattern] = (*gaps.get(pattern, ()), gap)

    def _number(self, pattern: str) -> int:
        number = self.numbers.setdefault(pattern, len(self.numbers))
        if number == len(self._one):
            self._one.append(_NO_ENTRY)
        return number

    def entries(self, text: str, matches: Sequence[_Match]) -> set[int]:
        """Return the numbers of the entries that the text has, without their places.

        A text has many matches of a few patterns: most of this is done once for each pattern.
        """
        found: set[int] = set()
        possible: dict[int, list[_GapSearch]] = {}
        for pattern in {pattern for pattern, _, _ in matches}:
            if (entry := self._one[pattern]) != _NO_ENTRY:
                found.update((entry, *self._others.get(pattern, ())))
            if gaps := self._possible_gaps(text, pattern):
                possible[pattern] = gaps
        for pattern, start, end in matches if possible else ():
            for entry, find_places in possible.get(pattern, ()):
                if entry not in found and any(find_places(text, start, end)):
                    found.add(entry)
        return found

    def places(self, text: str, matches: Iterable[_Match]) -> list[_Place]:
        """Return which entries stand where these patterns were found, each entry's first twenty places."""
        found: dict[int, list[_Place]] = {}
        possible: dict[int, list[_GapSearch]] = {}
        for pattern, start, end in matches:
            if (entry := self._one[pattern]) != _NO_ENTRY:
                for each in (entry, *self._others.get(pattern, ())):
                    _keep(found, _Place(end, start, _WHOLE, each, start))
            if pattern not in possible:
                possible[pattern] = self._possible_gaps(text, pattern)
            for entry, find_places in possible[pattern]:
                if len(found.get(entry, ())) < _PLACES_LIMIT:
                    for place in find_places(text, start, end):
                        _keep(found, place)
        return [place for places in found.values() for place in places]

    def _possible_gaps(self, text: str, pattern: int) -> list[_GapSearch]:
        """Return the entries that this is a part of, each with how to find the other part, if the text has that."""
        seconds, firsts = self._seconds.get(pattern, ()), self._firsts.get(pattern, ())
        possible: list[_GapSearch] = [(gap.entry, gap.places_before) for gap in seconds if gap.first in text]
        return [*possible, *((gap.entry, gap.places_after) for gap in firsts if gap.second in text)]


def _keep(found: dict[int, list[_Place]], place: _Place) -> None:
    places = found.setdefault(place.entry, [])
    if len(places) < _PLACES_LIMIT:
        places.append(place)


@dataclass(frozen=True, slots=True)
class WordLists:
    """Lists of phrases, searched together. Build it with `of`; it is read by any number of threads."""

    fact_names: tuple[str, ...]
    """`list.NAME` for every list."""
    _lists: tuple[tuple[str, ...], ...] = ()
    _first_numbers: tuple[int, ...] = ()
    """The number of each list's first entry. Entries are numbered through all lists."""
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
        kept = tuple(tuple(dict.fromkeys(entries)) for entries in lists.values())
        first_numbers = tuple(accumulate(map(len, kept), initial=0))[:-1]
        for number, entry in enumerate(chain.from_iterable(kept)):
            patterns.add(number, entry)
        found = list(patterns.numbers)
        patterns.numbers = {}
        automaton = AhoCorasick(found, implementation=Implementation.ContiguousNFA) if found else None
        return cls(tuple(f"{_FACT_PREFIX}{name}" for name in lists), kept, first_numbers, patterns, automaton)

    def count(self, text: FoldedText) -> dict[str, int]:
        """Return for each list with an entry in the text, by its fact's name, how many different ones it has there.

        That takes half of the time of `find`, which most messages never need.
        """
        found: set[int] = set()
        for each, matches in self._matches(text):
            found |= self._patterns.entries(each, matches)
        return dict(Counter(self.fact_names[self._list_of(number)] for number in found))

    def find(self, text: FoldedText) -> list[ListHit]:
        """Return the hits in the text, each entry once per place and at most at twenty places."""
        return [
            self._hit(place)
            for each, matches in self._matches(text)
            for place in sorted(self._patterns.places(each, matches))
        ]

    def _matches(self, text: FoldedText) -> Iterator[tuple[str, Sequence[_Match]]]:
        """Yield the text, and each mended place of it, with the patterns that stand there."""
        if self._automaton is not None:
            for each in (text.line, *(f" {' '.join(words)} " for words in _mended(text))):
                yield each, self._automaton.find_matches_as_indexes(each, overlapping=True)

    def _list_of(self, number: int) -> int:
        return bisect_right(self._first_numbers, number) - 1

    def _hit(self, place: _Place) -> ListHit:
        at = self._list_of(place.entry)
        name = self.fact_names[at].removeprefix(_FACT_PREFIX)
        return ListHit(name, self._lists[at][place.entry - self._first_numbers[at]], place.start, place.end)


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
