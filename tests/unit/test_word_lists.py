"""Word lists: entries are found as people read them, as whole words, in one pass."""

from collections import Counter

import pytest

from delivery.detection.folding import fold
from delivery.detection.word_lists import WordLists, split_words

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
    text = fold("otp otp gift card gift cards")

    assert {"list.pay": 2, "list.more": 1} == LISTS.count(text)


@pytest.mark.parametrize(
    "text",
    [
        "Send gift cards, g-i-f-t cards and the otp",
        "new" + " word" * 30 + " account",
        "my new bank account, a Girokonto",
        "Переводы 今日送金してください",
        "",
    ],
)
def test_what_is_counted_is_what_is_found(text: str) -> None:
    found = {(f"list.{hit.list_name}", hit.entry) for hit in LISTS.find(fold(text))}

    assert Counter(name for name, _ in found) == LISTS.count(fold(text))


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


def test_an_entry_with_a_gap_is_found_by_its_first_part_too_if_that_is_the_longer_one() -> None:
    gaps = WordLists.of({"gaps": ["whatsapp ~ me", "me ~ whatsapp"]})

    found = gaps.find(fold("me, whatsapp or whatsapp me, or call me"))

    assert [("me ~ whatsapp", 0), ("me ~ whatsapp", 0), ("whatsapp ~ me", 15), ("whatsapp ~ me", 15)] == [
        (hit.entry, hit.start) for hit in found
    ]


def test_hits_come_in_the_order_of_their_ends_and_the_longest_first() -> None:
    words = WordLists.of({"words": ["card", "gift card", "send ~ card", "gift"]})

    assert ["gift", "gift card", "card", "send ~ card"] == [hit.entry for hit in words.find(fold("Send a gift card"))]


def test_so_many_places_of_an_entry_are_kept_as_staff_are_shown() -> None:
    hits = LISTS.find(fold("otp " * 30 + "перевод " * 30))

    assert (20, 20) == tuple([hit.entry for hit in hits].count(entry) for entry in ("otp", "перевод*"))


def test_split_words_are_found_with_their_place_among_the_words() -> None:
    places = split_words(fold("a w-h-a-t-s app, x y z, b-u-y 1 2"))

    assert [slice(0, 6), slice(7, 15)] == list(places)
