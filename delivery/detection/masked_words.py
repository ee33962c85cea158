"""Words written so that machines misread them, and passages in quotation marks, where such words are only shown."""

import re

_QUOTED = re.compile(
    '«[^»]{1,300}»|»[^«]{1,300}«|„[^”“]{1,300}[”“]|“[^”]{1,300}”|「[^」]{1,300}」|『[^』]{1,300}』|"[^"\n]{1,300}"'
)
_QUOTATION_MARKS = '«»„“「『"'

_HIDDEN_IN_WORD = re.compile(
    r"(?<=[^\W\d_])[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0\U000e0000-\U000e007f]+"
    r"(?=[^\W\d_])"
)
_MIXED_WORD = re.compile(r"[a-z][\u0370-\u03ff\u0400-\u052f]|[\u0370-\u03ff\u0400-\u052f][a-z]", re.IGNORECASE)
_DIGIT_IN_WORD = re.compile(r"(?<![\w./@-])[^\W\d_]+[0134578@$]+[^\W\d_]+[0-9]?(?![\w./@-])")
_READ_AS_LETTERS = "0134578@$"
_SPLIT_WORD = re.compile(r"(?<!\w)[^\W\d_](?:[-. ・·][^\W\d_]){3,}(?!\w)")


def count_quotes(text: str) -> int:
    """Return how many passages of the text stand in quotation marks."""
    return len(_QUOTED.findall(text)) if _has_quotes(text) else 0


def count_masked(text: str, *, has_split: bool) -> int:
    """Return how many words are masked outside quotation marks. The text is as given, with its invisible characters.

    Words that are split into letters are looked for only where `has_split` says that there are some.
    """
    has_digits = any(digit in text for digit in _READ_AS_LETTERS)
    if text.isascii() and not has_digits and not has_split:
        return 0
    shown = _QUOTED.sub(" ", text) if _has_quotes(text) else text
    patterns = [] if shown.isascii() else [_HIDDEN_IN_WORD, _MIXED_WORD]
    patterns += [_DIGIT_IN_WORD] * has_digits + [_SPLIT_WORD] * has_split
    return sum(len(pattern.findall(shown)) for pattern in patterns)


def _has_quotes(text: str) -> bool:
    return any(mark in text for mark in _QUOTATION_MARKS)
