"""Names of senders that mislead, and honest ones that look odd to a program."""

import pytest

from delivery.detection.sender_names import MisleadingName, misleading_name, without_hidden

PLATFORM = ("Lingua Square", "Postroom")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("security@paypal.com", MisleadingName.ADDRESS),
        ("Postroom Support (messages@postroom.localhost)", MisleadingName.ADDRESS),
        ("PayPal <security@paypal.com>", MisleadingName.ADDRESS),
        ("security\uff20paypal.com", MisleadingName.ADDRESS),
        ("https://paypal.example", MisleadingName.ADDRESS),
        ("WWW.paypal.example", MisleadingName.ADDRESS),
        ("Postroom", MisleadingName.PLATFORM),
        ("The P0STR00M Team", MisleadingName.PLATFORM),
        ("Po\u200bstroom", MisleadingName.PLATFORM),
        ("P\u043estr\u043e\u043em", MisleadingName.PLATFORM),
        ("Lingua-Square billing", MisleadingName.PLATFORM),
        ("LinguaSquare", MisleadingName.PLATFORM),
        ("P\u0430yP\u0430l", MisleadingName.HIDDEN),
        ("Pay\u200bPal", MisleadingName.HIDDEN),
        ("Pay\u00adPal", MisleadingName.HIDDEN),
        ("Pay\U000e0041Pal", MisleadingName.HIDDEN),
        ("Pay\ufff9Pal", MisleadingName.HIDDEN),
        ("Pay\u200dPal", MisleadingName.HIDDEN),
        ("A" + "\u0336" * 119, MisleadingName.HIDDEN),
        ("Admin" + "\u00a0" * 100 + "x", MisleadingName.HIDDEN),
        ("Anna\u202eannA", MisleadingName.HIDDEN),
        ("\u2800Anna", MisleadingName.HIDDEN),
    ],
)
def test_a_name_that_misleads_is_recognised(name: str, expected: MisleadingName) -> None:
    assert expected is misleading_name(name, PLATFORM)


@pytest.mark.parametrize(
    "name",
    [
        "Anna Example",
        "O\u2019Neill & Sons, Ltd.",
        "Zo\u00eb",
        "Nguy\u1ec5n V\u0103n A",
        "Nguye\u0302\u0303n",
        "\u0410\u043d\u043d\u0430 Example",
        "\u039c\u03b1\u03c1\u03af\u03b1",
        "\u5c71\u7530\u592a\u90ce",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
        "\u2764\ufe0f Anna",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "J.R. Smith",
        "Agentur 24",
        "Post Room",
    ],
)
def test_an_honest_name_is_shown_as_it_is(name: str) -> None:
    assert None is misleading_name(name, ("Lingua Square",))


def test_without_names_of_the_platform_none_is_imitated() -> None:
    assert None is misleading_name("Postroom Support", ())


def test_what_a_reader_cannot_see_is_left_out() -> None:
    assert "PayPal of us" == without_hidden("Pay\u200bPal \u00a0\u00a0 of\u2009us\u2800")
