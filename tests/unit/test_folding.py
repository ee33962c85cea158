"""Folding comes out the same however often a word came before, and whatever stands beside it."""

import sys

from delivery.detection.folding import fold, text_key


def test_every_blank_of_unicode_parts_words() -> None:
    blanks = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]

    assert {("ä", ("a", "b"))} == {("ä", fold(f"ä{blank}b").words) for blank in blanks}


def test_words_fold_the_same_when_more_came_before_than_are_kept() -> None:
    first = fold("Größe naïve кофе").words

    many = fold(" ".join(f"ö{number}" for number in range(25_000)))

    assert first == fold("Größe naïve кофе").words
    assert 25_000 == len(many.words)


def test_ascii_folds_as_it_does_beside_other_letters() -> None:
    text = "".join(map(chr, range(128))) * 2

    assert fold(text).words == fold(f"{text} é").words[:-1]


def test_a_text_without_a_letter_has_no_words_and_one_key() -> None:
    assert ((), ()) == (fold("").words, fold(" .\n\u200b ").words)
    assert text_key(fold("")) == text_key(fold(" .\n\u200b "))


def test_texts_that_read_alike_have_one_key() -> None:
    assert text_key(fold("Gift card")) == text_key(fold("g1ft-\u0441ard"))
    assert text_key(fold("Gift card")) != text_key(fold("gift cards"))
