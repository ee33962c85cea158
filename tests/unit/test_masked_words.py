"""Words that are masked count where they stand in a text of its own, and not where a quotation shows them."""

import pytest

from delivery.detection.masked_words import count_masked, count_quotes
from delivery.detection.text_facts import DomainLists, MessageText, read_text
from delivery.detection.word_lists import WordLists


def _facts(text: str) -> dict[str, object]:
    read = read_text(MessageText("A word", text, "Ada"), WordLists.of({}), DomainLists())
    read.add(["text.masked", "text.quotes"])
    return dict(read.facts)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("two th0usand and a c0de", 2),
        ("the g\u200bift", 1),
        ("the g\u0456ft", 1),
        ("r@spa de tr\u00e1s", 1),
        ("it is s-e-t-e-n-t-a in all", 1),
        ("fourteen pages by 12.30, mp3, at a@b.example or lnk.example/s3cret", 0),
        ("plain words", 0),
    ],
)
def test_masked_words_count(text: str, masked: int) -> None:
    assert masked == _facts(text)["text.masked"]


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ("keep \u00abg1ft\u00bb and \u201ec0de\u201c", 2),
        ("\u300cg1ft\u300d\u300ec0de\u300f", 2),
        ('the "g1ft"', 1),
        ("it's Anna's", 0),
    ],
)
def test_passages_in_quotation_marks_count(text: str, quotes: int) -> None:
    assert quotes == count_quotes(text)
    assert 0 == count_masked(text, has_split=False)


def test_what_is_masked_beside_a_quotation_counts() -> None:
    assert 1 == count_masked("keep \u00abg1ft\u00bb, says the b0ss", has_split=False)


def test_an_opening_mark_without_its_partner_hides_nothing() -> None:
    assert 1 == count_masked("an open \u00ab and then c0de", has_split=False)
