"""Phrases and names that hold a message for staff, found as a person reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.detection.folding import fold
from delivery.rules.vetting import Finding, HoldRule, find_reasons


def found(text: str, *phrases: str) -> list[str]:
    """Return the phrases that a body has."""
    return [each.phrase for each in find_reasons({"body": text}, HoldRule(phrases))]


@pytest.mark.parametrize(
    "text",
    [
        "Western Union",
        "WESTERN UNION",
        "western\n\t union",
        "western\u00a0union",
        "western\u3000union",
        "\uff37\uff45\uff53\uff54\uff45\uff52\uff4e \uff35\uff4e\uff49\uff4f\uff4e",
        "\u24e6\u24d4\u24e2\u24e3\u24d4\u24e1\u24dd \u24e4\u24dd\u24d8\u24de\u24dd",
        "\U0001d430\U0001d41e\U0001d42c\U0001d42d\U0001d41e\U0001d42b\U0001d427 union",
        "\U0001f1fc\U0001f1ea\U0001f1f8\U0001f1f9\U0001f1ea\U0001f1f7\U0001f1f3 union",
        "\U0001f186\U0001f174\U0001f182\U0001f183\U0001f174\U0001f181\U0001f17d union",
        "wes\u200btern union",
        "wes\u200ctern union",
        "wes\u200dtern union",
        "wes\u2060tern union",
        "wes\ufefftern union",
        "wes\u00adtern union",
        "wes\u034ftern union",
        "wes\ufe0ftern union",
        "wes\U000e0074tern union",
        "wes\u202etern union",
        "wes\u2066tern union",
        "wes\u180etern union",
        "wes\u3164tern union",
        "wes\u2800tern union",
        "w\u0435st\u0435rn uni\u043en",
        "w\u03b5stern \u03c5ni\u03bfn",
        "\u13b3\u13acstern union",
        "w\u0435\u0455t\u0435rn union",
        "\u051d\u0435st\u0435rn union",
        "w\u0301e\u0301stern union",
        "w\u0336e\u0336s\u0336t\u0336e\u0336r\u0336n\u0336 union",
        "w\u00ebst\u00e8rn \u00fani\u00f3n",
        "\u1d21\u1d07s\u1d1b\u1d07\u0280\u0274 \u1d1c\u0274\u026a\u1d0f\u0274",
        "western-union",
        "western.union",
        "western_union",
        "western / union",
        "western*union",
        "westernunion",
        "w e s t e r n   u n i o n",
        "w.e.s.t.e.r.n u.n.i.o.n",
        "w-e-s-t-e-r-n-u-n-i-o-n",
        "west ern uni on",
        "w3st3rn un10n",
        "we$tern union",
        "WESTERN UNlON",
        "western un\u00a1on".replace("\u00a1", "|"),
        "Western Unions",
        "pay-by:western union,now",
    ],
)
def test_however_a_phrase_is_written_it_is_found(text: str) -> None:
    assert ["western union"] == found(f"Please use {text} today.", "western union")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("gift and card", "gift card"),
        ("a gift car dealer", "gift card"),
        ("a big if to card sharks", "gift card"),
        ("", "gift card"),
        ("we stern unions", "stern union x"),
        ("anti", "ti ps"),
    ],
)
def test_similar_words_are_not_the_phrase(text: str, phrase: str) -> None:
    assert [] == found(text, phrase)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("in der Strasse", "STRA\u00dfE"),
        ("\ufb01nance", "FINANCE"),
        ("caf\u00e9", "cafe\u0301"),
        ("\u03a3\u03a3", "\u03c3\u03c2"),
        ("\u8bf7\u7528\u897f\u8054\u6c47\u6b3e\u4ed8\u94b1", "\u897f\u8054\u6c47\u6b3e"),
        (
            "\u043f\u0435\u0440\u0435\u0432\u043e\u0434 \u0434\u0435\u043d\u0435\u0433",
            "\u041f\u0435\u0440\u0435\u0432\u043e\u0434",
        ),
        ("\uac00\ub098\ub2e4", "\u1100\u1161\u1102\u1161"),
        ("\uff76\uff9e\uff77\uff9e", "\u30ac\u30ae"),
        ("win 1\u0665\u06650 now", "1550"),
    ],
)
def test_phrases_of_any_script_are_found(text: str, phrase: str) -> None:
    assert [phrase] == found(text, phrase)


def test_every_phrase_is_found_in_every_field_that_contains_it() -> None:
    texts = {"subject": "One", "body": "one and two", "sender_name": "nobody", "sender_email": "two@mail.example"}

    findings = find_reasons(texts, HoldRule(("one", "two", "three")))

    expected = {("one", "subject"), ("one", "body"), ("two", "body"), ("two", "sender_email")}
    assert expected == {(each.phrase, each.field) for each in findings}


def test_a_misleading_name_is_a_finding_where_such_names_are_held() -> None:
    texts = {"body": "Hello", "sender_name": "Postroom Support"}

    assert () == find_reasons(texts, HoldRule(platform_names=("Postroom",)))
    assert (Finding("the name of this platform", "sender_name"),) == find_reasons(
        texts, HoldRule(holds_names=True, platform_names=("Postroom",))
    )


@given(st.text(max_size=20), st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_a_phrase_is_found_anywhere_in_a_text(before: str, phrase: str, after: str) -> None:
    assert bool(fold(phrase).letters) is bool(found(f"{before} {phrase} {after}", phrase))
