"""Messages as e-mail: what arrives is what was sent, and no text becomes a header."""

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from delivery.channels.email.message import (
    CannotEncode,
    MailOrigin,
    ascii_address,
    compose,
    envelope_sender,
    message_id,
)
from delivery.detection.sender_names import misleading_name
from delivery.intake.errors import InvalidInput
from delivery.intake.messages import read_draft
from tests.support import build

PLATFORM = MailOrigin("postroom.example", "Lingua Square", ("Lingua Square",))
HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "Auto-Submitted",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
]  # fmt: skip
SMUGGLED = "=?utf-8?q?=0D=0ABcc:x@y.z?="


def parse(written: bytes) -> Message:
    """Parse a mail by the policy that decodes nothing."""
    return message_from_bytes(written, policy=policy.compat32)


def decoded(mail: Message, header: str) -> str:
    """Unfold a header (RFC 5322 2.2.3) and decode it (RFC 2047)."""
    return str(make_header(decode_header(re.sub(r"\r?\n(?=[ \t])", "", mail[header]))))


def name_and_address(mail: Message, header: str) -> tuple[str, str]:
    """Decode an address header into name and address."""
    name, address = parseaddr(mail[header])
    return str(make_header(decode_header(name))), address


def text(mail: Message) -> str:
    """Decode the body, with LF for the CRLF in which all its lines end in transit."""
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("utf-8").replace("\r\n", "\n")


def test_a_mail_has_these_headers_and_no_others() -> None:
    mail = parse(compose(build.claimed(), PLATFORM))

    assert sorted(HEADERS) == sorted(mail.keys())
    assert ("Anna Example", "messages@postroom.example") == name_and_address(mail, "From")
    assert ("Bruno Beispiel", "bruno@mail.example") == name_and_address(mail, "To")
    assert "A question" == mail["Subject"]
    assert "Sun, 01 Mar 2026 12:00:00 +0000" == mail["Date"]
    assert "<mailto:unsubscribe@postroom.example?subject=r7>" == mail["List-Unsubscribe"]
    assert "auto-generated" == mail["Auto-Submitted"]
    assert "Hello.\n" == text(mail)


def test_a_mail_with_a_page_can_be_unsubscribed_from_with_one_click() -> None:
    url = f"https://post.example/room/unsubscribe/{'A-_9' * 100}"

    written = compose(build.claimed(), PLATFORM, unsubscribe_url=url)

    mail = parse(written)
    assert sorted([*HEADERS, "List-Unsubscribe-Post"]) == sorted(mail.keys())
    assert [f"<{url}>"] == mail.get_all("List-Unsubscribe")
    assert ["List-Unsubscribe=One-Click"] == mail.get_all("List-Unsubscribe-Post")
    # On one line each: RFC 8058 readers look for the address as it stands.
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in written
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in written


@pytest.mark.parametrize("url", ["https://b\u00fccher.example/", "https://x/" + "y" * 2000])
def test_an_address_that_cannot_be_a_header_is_refused(url: str) -> None:
    with pytest.raises(CannotEncode):
        compose(build.claimed(), PLATFORM, unsubscribe_url=url)


def test_replies_go_to_the_address_of_the_sender_if_it_has_one() -> None:
    without = parse(compose(build.claimed(), PLATFORM))
    mail = parse(compose(build.claimed(sender_email="anna@b\u00fccher.example"), PLATFORM))

    assert None is without["Reply-To"]
    expected = ("Anna Example (unverified address)", "anna@xn--bcher-kva.example")
    assert expected == name_and_address(mail, "Reply-To")


def test_every_attempt_at_a_recipient_has_the_same_message_id_and_every_recipient_its_own() -> None:
    ids = [parse(compose(build.claimed(attempt=number), PLATFORM))["Message-ID"] for number in (1, 2, 9)]

    assert 3 * [message_id(build.claimed(), PLATFORM.mail_domain)] == ids
    assert ids[0] != message_id(build.claimed(recipient_id=8), PLATFORM.mail_domain)
    assert re.fullmatch(r"<[!-;=?A-~]+@postroom\.example>", ids[0])


def test_the_envelope_sender_names_the_recipient() -> None:
    assert "bounces+r7@postroom.example" == envelope_sender(7, PLATFORM.mail_domain)


@pytest.mark.parametrize("subject", [SMUGGLED, "=?us-ascii?q?x?=", "a =?utf-8?b?QQ==?= b", "=?", "?=", "=?x"])
def test_a_subject_that_looks_encoded_arrives_as_those_literal_characters(subject: str) -> None:
    written = compose(build.claimed(subject=subject), PLATFORM)

    assert subject == decoded(parse(written), "Subject")
    assert subject == message_from_bytes(written, policy=policy.default)["Subject"]
    assert b"bcc" not in written.lower()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("security@paypal.com", "security@paypal.com"),
        ("PayPal <security@paypal.com>", "PayPal <security@paypal.com>"),
        ("www.paypal.com", "www.paypal.com"),
        ("Lingua Square Support", "Lingua Square Support"),
        ("L1ngua\u200bSquare", "L1nguaSquare"),
        ("Pay\u200bPal", "PayPal"),
        ("P\u0430yP\u0430l", "P\u0430yP\u0430l"),
        ("Admin" + "\u00a0" * 100 + "of the platform", "Admin of the platform"),
    ],
)
def test_a_name_that_misleads_is_shown_as_one_that_writes_through_the_platform(name: str, shown: str) -> None:
    mail = parse(compose(build.claimed(sender_name=name, sender_email="anna@mail.example"), PLATFORM))

    expected = f'"{shown}" via Lingua Square'
    assert (expected, "messages@postroom.example") == name_and_address(mail, "From")
    assert (f"{expected} (unverified address)", "anna@mail.example") == name_and_address(mail, "Reply-To")


def test_a_name_that_misleads_and_looks_encoded_arrives_as_those_literal_characters() -> None:
    mail = parse(compose(build.claimed(sender_name=SMUGGLED), PLATFORM))

    assert f'"{SMUGGLED}" via Lingua Square' == name_and_address(mail, "From")[0]


@pytest.mark.parametrize("field", ["sender_name", "account_name"])
@pytest.mark.parametrize(
    "name",
    [
        "Zo\u00eb",
        "\u5c71\u7530\u592a\u90ce",
        "\U0001f600 Anna",
        'Anna "the" Example',
        "Example, Anna",
        "back\\slash",
        "=?utf-8?q?=0D=0ABcc:x?=",
        " outer ",
        "two  blanks",
        "a" * 120,
        "\u00e9" * 120,
        "\U0001f600" * 120,
    ],
)
def test_any_name_arrives_unchanged(field: str, name: str) -> None:
    mail = parse(compose(build.claimed(**{field: name}), PLATFORM))

    assert name == name_and_address(mail, {"sender_name": "From", "account_name": "To"}[field])[0]


@pytest.mark.parametrize(
    "subject", ["Please have a look at " + "this long subject " * 6 + "today", "word " * 50 + "end"]
)
def test_a_long_plain_subject_is_folded_at_its_spaces_and_not_encoded(subject: str) -> None:
    content = compose(build.claimed(subject=subject), PLATFORM)

    head = content.partition(b"\r\n\r\n")[0]
    assert b"=?" not in head
    assert 76 >= max(map(len, head.split(b"\r\n")))
    assert subject == message_from_bytes(content, policy=policy.default)["Subject"]


@pytest.mark.parametrize("name", ["\u00dc" * 20, "\u00dc" * 60, "\U0001f600" * 120])
@pytest.mark.parametrize("address", ["bruno@mail.example", f"{'b' * 64}@{'m' * 60}.example"])
def test_no_line_with_an_encoded_word_is_longer_than_76(name: str, address: str) -> None:
    claimed = build.claimed(sender_name=name, account_name=name, address=address, sender_email=address)

    lines = compose(claimed, PLATFORM).partition(b"\r\n\r\n")[0].split(b"\r\n")

    assert 76 >= max(len(line) for line in lines if b"=?" in line)


def test_the_date_is_that_of_the_attempt() -> None:
    mail = parse(compose(build.claimed(read_at=build.NOON.replace(hour=15)), PLATFORM))

    assert "Sun, 01 Mar 2026 15:00:00 +0000" == mail["Date"]


@pytest.mark.parametrize(
    "subject",
    ["a" * 255, "word " * 50 + "end", "\U0001f600" * 255, "\u00fc " * 127 + "!", " outer blanks ", "two  blanks"],
)
def test_a_long_subject_is_folded_into_lines_of_legal_length(subject: str) -> None:
    written = compose(build.claimed(subject=subject), PLATFORM)

    lines = written.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert subject == decoded(parse(written), "Subject")
    assert 998 >= max(map(len, lines))
    assert 76 >= max((len(line) for line in lines if b"=?" in line), default=0)


@pytest.mark.parametrize(
    "body",
    ["a", "a\r\nb\r\n", "\n\n", ".\n.\n..", "From here\n", "tab\there", "blank at the end \n", "z" * 65_536, "\u2028",
     "\u4f60\u597d" * 5000, "=20 = =?utf-8?q?x?=", " \n "],
)  # fmt: skip
def test_any_body_arrives_line_for_line(body: str) -> None:
    written = compose(build.claimed(body=body), PLATFORM)

    assert body.replace("\r\n", "\n") == text(parse(written))
    assert 998 >= max(map(len, written.split(b"\r\n")))
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", written) is None
    assert written.isascii()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("anna@mail.example", "anna@mail.example"),
        ("anna@b\u00fccher.example", "anna@xn--bcher-kva.example"),
        ("anna@B\u00dcCHER.example", "anna@xn--bcher-kva.example"),
        ("root@localhost", "root@localhost"),
        ("o'hara+x/y=z@mail.example", "o'hara+x/y=z@mail.example"),
    ],
)
def test_an_international_domain_is_written_in_ascii(address: str, expected: str) -> None:
    assert expected == ascii_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "@mail.example",
        "anna@",
        "j\u00f6rg@mail.example",
        "anna@..\u00fc",
        "anna@\u00fc" + "x" * 80,
        "an na@mail.example",
        "<anna@mail.example>",
        "anna@mail.example>",
        "anna@mail.example\r\nRCPT TO:<x@y.example>",
        "anna\r\n@mail.example",
        "anna@mail.example\n",
        "anna@mail.example, bo@mail.example",
    ],
)
def test_a_text_that_is_no_address_gets_into_no_header_and_no_command(address: str) -> None:
    with pytest.raises(CannotEncode):
        ascii_address(address)
    with pytest.raises(CannotEncode):
        compose(build.claimed(address=address), PLATFORM)


one_line = st.text(min_size=1, max_size=60) | st.from_regex(r"[=?_a-z \"<>@,:;\\é]{1,50}", fullmatch=True)


@given(subject=one_line, name=one_line, body=st.text(min_size=1, max_size=200))
def test_any_legal_message_arrives_whole_or_cannot_be_encoded_and_never_gains_a_header(
    subject: str, name: str, body: str
) -> None:
    try:
        draft = read_draft(build.fields(subject=subject, sender_name=name, body=body))
    except InvalidInput:
        assume(False)  # noqa: FBT003 - hypothesis declares it so
    claimed = build.claimed(subject=draft.subject, sender_name=draft.sender_name, body=draft.body)
    try:
        written = compose(claimed, PLATFORM)
    except CannotEncode:
        return

    mail = parse(written)

    assert sorted(HEADERS) == sorted(mail.keys())
    assert subject == decoded(mail, "Subject")
    if misleading_name(name, PLATFORM.names) is None:
        assert name == name_and_address(mail, "From")[0]
    assert body.replace("\r\n", "\n") == text(mail)


@given(name=st.text(min_size=1, max_size=300))
def test_whatever_name_an_account_has_it_adds_no_header(name: str) -> None:
    try:
        written = compose(build.claimed(account_name=name), PLATFORM)
    except CannotEncode:
        return

    assert sorted(HEADERS) == sorted(parse(written).keys())
