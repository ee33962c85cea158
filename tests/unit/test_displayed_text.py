"""The pieces in which a text is shown to people who decide: what was found, and what no reader sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.detection.displayed_text import Piece, PieceKind, count_unseen, marked, spans_of, spelled_out


def found(text: str, *phrases: str) -> list[str]:
    """Return the pieces that are marked."""
    return [each.text for each in marked(text, phrases) if each.kind is PieceKind.FOUND]


@pytest.mark.parametrize(
    ("text", "phrases", "expected"),
    [
        ("", ["wire"], []),
        ("nothing here", ["wire"], []),
        ("anything", [], []),
        ("anything", ["", " ", "\u200b"], []),
        ("please wire the money", ["wire the money"], ["wire the money"]),
        ("wire", ["wire"], ["wire"]),
        ("WIRE The Money", ["wire the money"], ["WIRE The Money"]),
        ("wire  the\nmoney", ["wire the money"], ["wire  the\nmoney"]),
        ("w\u200bire", ["wire"], ["w\u200bire"]),
        ("w\u0456re", ["wire"], ["w\u0456re"]),
        ("\uff57\uff49\uff52\uff45 it", ["wire"], ["\uff57\uff49\uff52\uff45"]),
        ("wire and wire", ["wire"], ["wire", "wire"]),
        ("wire the money now", ["wire the money", "the money now"], ["wire the money now"]),
        ("wire it, pay it", ["pay it", "wire it"], ["wire it", "pay it"]),
        ("wire it", ["wire it", "wire it"], ["wire it"]),
    ],
)
def test_each_place_where_a_person_would_read_a_phrase_is_marked(
    text: str, phrases: list[str], expected: list[str]
) -> None:
    assert expected == found(text, *phrases)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\ttext\n", []),
        ("", []),
        ("a\u200bb", [("U+200B", "zero width space")]),
        ("\u202eexe", [("U+202E", "right-to-left override")]),
        ("\u2066a\u2069", [("U+2066", "left-to-right isolate"), ("U+2069", "pop directional isolate")]),
        ("\u00ad", [("U+00AD", "soft hyphen")]),
        ("bell\x07", [("U+0007", "control character")]),
        ("a\r\n", [("U+000D", "control character")]),
        ("a\u2028b", [("U+2028", "line separator")]),
        ("\ue000", [("U+E000", "control character")]),
        ("\U000e0041", [("U+E0041", "tag latin capital letter a")]),
        ("\u200b\u200b", [("U+200B", "zero width space")] * 2),
    ],
)
def test_what_no_reader_sees_is_spelled_out_and_counted(text: str, expected: list[tuple[str, str]]) -> None:
    unseen = [(each.text, each.name) for each in spelled_out(text) if each.kind is PieceKind.UNSEEN]

    assert expected == unseen
    assert len(expected) == count_unseen(text)


def test_the_text_around_a_hidden_character_stays_in_its_order() -> None:
    expected = (
        Piece(PieceKind.PLAIN, "a"),
        Piece(PieceKind.UNSEEN, "U+200B", "zero width space"),
        Piece(PieceKind.PLAIN, "b"),
    )

    assert expected == spelled_out("a\u200bb")


@given(st.text(max_size=60), st.lists(st.text(max_size=6), max_size=4))
def test_no_marking_changes_a_character_of_the_text(text: str, phrases: list[str]) -> None:
    assert text == "".join(each.text for each in marked(text, phrases))


@given(st.text(alphabet="wire \u200b\u0456W", max_size=30))
def test_places_are_within_the_text_and_not_empty(text: str) -> None:
    assert all(0 <= start < end <= len(text) for start, end in spans_of(text, "wire"))
