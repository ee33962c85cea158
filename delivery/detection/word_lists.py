"""Word lists: which entries of any number of lists a text has, found in one pass over its folded letters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ahocorasick_rs import AhoCorasick, Implementation

from delivery.detection.folding import FoldedText, fold

_GAP_MARK = "~"
_GAP_LETTERS = 60
"""How many letters may stand between the two parts of an entry such as `new ~ account`: about twelve words."""


@dataclass(frozen=True, slots=True)
class ListHit:
    """An entry that a text has, and where: offsets into its folded letters."""

    list_name: str
    entry: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Part:
    """One or the other part of an entry: its folded letters, and at which ends a word may go on."""

    letters: str
    word_starts: frozenset[int]
    is_open_before: bool
    is_open_after: bool

    def fits(self, text: FoldedText, start: int, end: int) -> bool:
        """Whether the match is made of whole words, however they are cut, or of words that may go on at an open end.

        `gift car dealer` has no `gift card*`: there a word begins where the entry has none.
        """
        starts = text.word_starts
        begins, ends = start in starts, end in starts
        if begins and ends:
            return True
        return (begins or self._may_begin_within(starts, start, end)) and (
            ends or self._may_end_within(starts, start, end)
        )

    def _may_begin_within(self, starts: frozenset[int], start: int, end: int) -> bool:
        """Whether the word that the match begins within ends where a word of the entry does."""
        following = next((at for at in range(start + 1, end) if at in starts), end)
        return self.is_open_before and following - start in self.word_starts

    def _may_end_within(self, starts: frozenset[int], start: int, end: int) -> bool:
        """Whether the word that the match ends within begins where a word of the entry does."""
        last = next((at for at in range(end - 1, start, -1) if at in starts), start)
        return self.is_open_after and last - start in self.word_starts


@dataclass(slots=True)
class _Use:
    """Where a part stands: in which entry of which list, as its first part (0) or what follows (1)."""

    list_name: str
    entry: str
    place: int
    part: _Part
    parts: int = 1


@dataclass(frozen=True, slots=True)
class WordLists:
    """Lists of phrases, searched together. Build it with `of`; it is read by any number of threads."""

    fact_names: tuple[str, ...]
    """`list.NAME` for every list."""
    _uses: Mapping[int, Sequence[_Use]] = field(default_factory=dict)
    _automaton: AhoCorasick | None = None

    @classmethod
    def of(cls, lists: Mapping[str, Iterable[str]]) -> "WordLists":
        """Return the lists, ready to search. An entry without a letter or digit is in no text.

        An entry is found as whole words, however they are written or cut: `gift card` in `g-i-f-t cards` too if it ends
        with `*`, which leaves the end of the word open, as a leading `*` does its beginning. `new ~ account` is
        found where the second part follows the first within about twelve words.
        """
        uses: dict[str, list[_Use]] = {}
        for name, entries in lists.items():
            for entry in entries:
                parts = [part for part in map(_part, entry.split(_GAP_MARK)) if part.letters]
                for place, part in enumerate(parts[:2]):
                    uses.setdefault(part.letters, []).append(_Use(name, entry, place, part, len(parts[:2])))
        patterns = list(uses)
        automaton = AhoCorasick(patterns, implementation=Implementation.ContiguousNFA) if patterns else None
        return cls(tuple(f"list.{name}" for name in lists), dict(enumerate(uses.values())), automaton)

    def find(self, text: FoldedText) -> list[ListHit]:
        """Return the hits in the text, each entry once per place. A thousand letters take some microseconds."""
        if self._automaton is None:
            return []
        hits: list[ListHit] = []
        first_parts: dict[tuple[str, str], list[ListHit]] = {}
        for pattern, start, end in sorted(
            self._automaton.find_matches_as_indexes(text.letters, overlapping=True), key=lambda match: match[1]
        ):
            for use in self._uses[pattern]:
                if use.part.fits(text, start, end):
                    hit = ListHit(use.list_name, use.entry, start, end)
                    _collect(use, hit, hits, first_parts)
        return hits


def _collect(use: _Use, hit: ListHit, hits: list[ListHit], first_parts: dict[tuple[str, str], list[ListHit]]) -> None:
    """Add the hit, or join a second part with the first part that stands shortly before it."""
    if use.parts == 1:
        hits.append(hit)
        return
    seen = first_parts.setdefault((use.list_name, use.entry), [])
    if use.place == 0:
        seen.append(hit)
        return
    for before in reversed(seen):
        if 0 <= hit.start - before.end <= _GAP_LETTERS:
            hits.append(ListHit(use.list_name, use.entry, before.start, hit.end))
            return


def count_entries(hits: Iterable[ListHit]) -> dict[str, int]:
    """Return for each list how many different entries were found."""
    found = {(hit.list_name, hit.entry) for hit in hits}
    counts: dict[str, int] = {}
    for name, _ in found:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _part(text: str) -> _Part:
    text = text.strip()
    folded = fold(text)
    return _Part(folded.letters, folded.word_starts, text.startswith("*"), text.endswith("*"))
