"""Plain addresses are accepted, and texts that only look like one are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.intake.errors import InvalidInput
from delivery.intake.fields import is_plain_address
from delivery.intake.messages import read_draft
from tests.support import build


def faults_of(address: object) -> list[tuple[str, str]]:
    """Return place and code of each fault of a valid message with this sender_email."""
    try:
        read_draft(build.fields(sender_email=address))
    except InvalidInput as caught:
        return [(fault.place, fault.code) for fault in caught.faults]
    return []


@pytest.mark.parametrize(
    "address",
    [
        "anna@mail.example",
        "anna.b+tag_x@mail.example",
        "o'hara@mail.test",
        "anna@b\u00fccher.example",
        "anna@xn--bcher-kva.example",
        "ANNA@MAIL.EXAMPLE",
        "a" * 64 + "@mail.example",
    ],
)
def test_a_plain_address_is_kept_as_it_was_given(address: str) -> None:
    assert address == read_draft(build.fields(sender_email=address)).sender_email


@pytest.mark.parametrize(
    "address",
    [
        "anna",
        "anna@",
        "@mail.example",
        "anna@host",
        "anna@[192.0.2.1]",
        "anna@192.0.2.1",
        "anna@[IPv6:2001:db8::1]",
        "j\u00f6rg@mail.example",
        " anna@mail.example",
        "anna@mail.example ",
        "anna@mail.example\n",
        "anna@mail.example\r\nBcc: x@y.example",
        "Anna <anna@mail.example>",
        "<anna@mail.example>",
        "anna@mail.example, bo@mail.example",
        "anna@mail.example;bo@mail.example",
        '"an na"@mail.example',
        "anna(comment)@mail.example",
        "an..na@mail.example",
        ".anna@mail.example",
        "anna@mail..example",
        "anna@mail.example.",
        "anna@-mail.example",
        "anna@mail_host.example",
        " ",
        "anna@mail.example\x00",
        "\udcff@mail.example",
    ],
)
def test_what_is_not_one_plain_address_is_refused(address: str) -> None:
    assert [("sender_email", "invalid_email")] == faults_of(address)


def test_an_address_is_counted_in_bytes() -> None:
    assert [("sender_email", "too_long")] == faults_of("a@" + "\u00fc" * 123 + ".example")
    assert [("sender_email", "wrong_type")] == faults_of(["anna@mail.example"])


@given(st.text() | st.emails() | st.from_regex(r"[a-z@.\"<>, ü-]{1,20}", fullmatch=True))
def test_any_text_is_a_plain_address_or_not_and_never_an_error(text: str) -> None:
    is_plain = is_plain_address(text)

    assert not is_plain or (1 == text.count("@") and text == text.strip() and text.partition("@")[0].isascii())
