"""Phrases that hold a message for staff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.rules.vetting import Finding, find_phrases, fold


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Please send a gift card today", "gift card"),
        ("please send a GIFT CARD", "Gift Card"),
        ("a gift\n\t card", "gift card"),
        ("a gift card", "gift  card"),
        ("a gift\u00a0card", "gift card"),
        ("a \uff47\uff49\uff46\uff54 \uff43\uff41\uff52\uff44", "gift card"),
        ("in der Strasse", "STRA\u00dfE"),
        ("\ufb01nance", "FINANCE"),
        ("caf\u00e9", "cafe\u0301"),
        ("\u03a3\u03a3", "\u03c3\u03c2"),
    ],
)
def test_case_width_and_spacing_do_not_hide_a_phrase(text: str, phrase: str) -> None:
    findings = find_phrases({"body": text}, [phrase])

    assert (Finding(phrase, "body"),) == findings


@pytest.mark.parametrize("text", ["gift and card", "giftcard", "", "gif tcard"])
def test_similar_words_are_not_the_phrase(text: str) -> None:
    assert () == find_phrases({"body": text}, ["gift card"])


@pytest.mark.parametrize("phrase", ["", " ", "\t\n", "\u3000"])
def test_an_empty_phrase_is_never_found(phrase: str) -> None:
    assert () == find_phrases({"subject": "", "body": "anything"}, [phrase])


def test_every_phrase_is_found_in_every_field_that_contains_it() -> None:
    texts = {"subject": "One", "body": "one and two", "sender_name": "nobody"}

    findings = find_phrases(texts, ["one", "two", "three"])

    assert {Finding("one", "subject"), Finding("one", "body"), Finding("two", "body")} == set(findings)


@given(st.text(max_size=20), st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_a_phrase_is_found_anywhere_in_a_text(before: str, phrase: str, after: str) -> None:
    findings = find_phrases({"body": f"{before} {phrase} {after}"}, [phrase])

    assert bool(fold(phrase)) is bool(findings)
