"""Signatures: the form of RFC 8785 for texts and lists of texts, with the examples of that document."""

import pytest

from delivery.sealing import SealBroken, open_sealed, seal
from delivery.signatures import NotSignable, canonical_form, is_signed, sign, signature_of
from tests.support.build import PEPPER

EXAMPLE = "2MmESS5LochCIMaFFPyoFtBTcJ2ctNgt0znx4fKD6b4"
KEY = f"sg_{'0' * 16}_{'A' * 43}"


def test_names_are_sorted_by_their_utf_16_units_as_in_the_example_of_rfc_8785() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]

    form = canonical_form(dict.fromkeys(names, "x")).decode()

    ordered = ["\\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert "{" + ",".join(f'"{name}":"x"' for name in ordered) + "}" == form


def test_texts_are_escaped_as_rfc_8785_says() -> None:
    text = '\u20ac$\u000f\nA\'B"\\\\"/\x7f\u2028\b\f\t'

    form = canonical_form({"string": text, "list": ["a", ""]})

    expected = '{"list":["a",""],"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f\u2028\\b\\f\\t"}'
    assert expected.encode() == form


@pytest.mark.parametrize("value", [None, 7, 1.5, True, {"a": "b"}, ["a", 7], [["a"]], b"a", "\ud800"])
def test_anything_else_cannot_be_signed(value: object) -> None:
    with pytest.raises(NotSignable):
        signature_of({"field": value}, KEY)

    assert not is_signed({"field": value, "signature": "A" * 43}, KEY)


def test_a_signature_is_known_to_programs_in_other_languages_by_this_example() -> None:
    sent = {
        "subject": "Gr\u00fc\u00dfe",
        "recipient_uuids": ["a", "b"],
        "key_id": KEY[:19],
        "issued_at": "2026-11-29T07:00:00Z",
    }

    assert EXAMPLE == signature_of(sent, KEY)


def test_padding_and_no_padding_are_both_taken() -> None:
    sent = sign({"subject": "x"}, KEY)

    assert is_signed(sent, KEY)
    assert is_signed({**sent, "signature": f"{sent['signature']}="}, KEY)
    assert not is_signed(sent, KEY[:-1] + "B")


def test_what_is_sealed_opens_only_under_its_name_and_its_key() -> None:
    sealed = seal("secret", "sg_1", PEPPER)

    assert "secret" == open_sealed(sealed, "sg_1", PEPPER)
    assert b"secret" not in sealed
    for broken, name in ((sealed, "sg_2"), (sealed[:-1], "sg_1"), (b"", "sg_1"), (bytes(40), "sg_1")):
        with pytest.raises(SealBroken):
            open_sealed(broken, name, PEPPER)
