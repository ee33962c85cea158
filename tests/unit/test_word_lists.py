"""Word lists: entries are found as people read them, as whole words, in one pass."""

import pytest

from delivery.detection.folding import fold
from delivery.detection.word_lists import WordLists, count_entries

LISTS = WordLists.of(
    {"pay": ["gift card*", "otp", "new ~ account", "*konto", "---"], "more": ["перевод*", "送金", "gift card*"]}
)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("Send gift cards", ["gift card*", "gift card*"]),
        ("g-i-f-t ca\u200brds", ["gift card*", "gift card*"]),
        ("GIFTCARD", ["gift card*", "gift card*"]),
        ("a gift, car dealer", []),
        ("laptop", []),
        ("the \u043ctp", []),
        ("the otp is", ["otp"]),
        ("my new bank account", ["new ~ account"]),
        ("new" + " word" * 30 + " account", []),
        ("account, new", []),
        ("Girokonto", ["*konto"]),
        ("Переводы", ["перевод*"]),
        ("今日送金してください", ["送金"]),
        ("", []),
        ("---", []),
    ],
)
def test_entries_are_found_as_whole_words(text: str, entries: list[str]) -> None:
    assert entries == [hit.entry for hit in LISTS.find(fold(text))]


def test_an_entry_counts_once_however_often_it_stands_there() -> None:
    hits = LISTS.find(fold("otp otp gift card gift cards"))

    assert {"pay": 2, "more": 1} == count_entries(hits)


def test_lists_without_entries_find_nothing() -> None:
    assert [] == WordLists.of({"empty": []}).find(fold("anything"))


def test_a_list_of_a_hundred_thousand_entries_finds_its_last_one() -> None:
    many = WordLists.of({"many": [f"phrase number{index}x" for index in range(100_000)]})

    assert ["phrase number99999x"] == [hit.entry for hit in many.find(fold("a Phrase Number99999x here"))]


def test_a_part_of_a_longer_phrase_joins_with_the_nearest_first_part() -> None:
    gaps = WordLists.of({"gaps": ["send ~ rest", "the rest ~ driver", "rest ~ rest"]})

    assert ["send ~ rest", "the rest ~ driver"] == [
        hit.entry for hit in gaps.find(fold("Please send me the rest to my driver"))
    ]
    assert ["rest ~ rest"] == [hit.entry for hit in gaps.find(fold("rest rest"))]
