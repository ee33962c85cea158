"""Writing a letter as an e-mail, and proving that it reads back as it was meant."""

import re
from collections.abc import Mapping
from email import message_from_bytes, policy, quoprimime
from email.header import Header, decode_header, make_header
from email.message import Message
from email.utils import format_datetime, formataddr, parseaddr
from typing import TypeAlias

import idna

from delivery.records.pipeline.claims import ClaimedDelivery

# Printable ASCII words parted by single blanks. Everything else, and what looks like an encoded word, is encoded.
_PLAIN = re.compile(r"(?!.*=\?)[!-~]+( [!-~]+)*", re.ASCII)
_PLAIN_LIMIT = 60
# RFC 5321 4.1.2: a dot-string and a domain; no quoted local part and no address literal.
_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[\w-]+(\.[\w-]+)*", re.ASCII)
_ENCODED_LINE_LIMIT = 76
_LINE_LIMIT = 998  # RFC 5322 2.1.1
# Some readers join the encoded words of a long name with blanks, so an ASCII name stays literal at any length.
_NAME_LIMIT = 120
_CONTENT_TYPE = 'text/plain; charset="utf-8"'

People: TypeAlias = dict[str, tuple[str, str]]
"""Address headers with display name and address."""


class CannotEncode(Exception):  # noqa: N818 - it is a fact about the letter
    """Raised for a letter that no e-mail can carry as it was meant; the message names the header."""


def compose(claimed: ClaimedDelivery, mail_domain: str, *, unsubscribe_url: str | None = None) -> bytes:
    """Write the e-mail. The same letter has the same Message-ID whatever attempt it is.

    With an address of its recipient's unsubscribe page it can be unsubscribed from with one click.

    Raises `NotExpressible` when a header or the body, parsed back, does not say what was put in.
    """
    people = _people(claimed, mail_domain)
    headers = _headers(claimed, people, mail_domain, unsubscribe_url)
    written = _write(headers, claimed.body)
    _compare(message_from_bytes(written), headers, people, claimed)
    return written


def _headers(claimed: ClaimedDelivery, people: People, mail_domain: str, unsubscribe_url: str | None) -> dict[str, str]:
    return {
        **{name: _mailbox(name, display, address) for name, (display, address) in people.items()},
        "Subject": _words("Subject", claimed.subject),
        "Date": format_datetime(claimed.created_at),
        "Message-ID": message_id(claimed, mail_domain),
        **_unsubscribing(claimed, mail_domain, unsubscribe_url),
        "Auto-Submitted": "auto-generated",  # RFC 3834: no vacation answers, please.
        "MIME-Version": "1.0",
        "Content-Type": _CONTENT_TYPE,
        "Content-Transfer-Encoding": "quoted-printable",
    }


def _write(headers: Mapping[str, str], body: str) -> bytes:
    """Write what it is given and no more.

    The newer policies of `email` decode a subject such as =?utf-8?q?=0D=0ABcc:x@y.z?= and write a real header out of
    it, in Python below 3.13 and in some 3.11 and 3.12; and its generator takes twice as long as all the rest of a
    mail (both measured).
    """
    encoded = quoprimime.body_encode(_lines(body).encode().decode("latin-1")).replace("\n", "\r\n")
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    try:
        written = f"{head}\r\n{encoded}".encode("ascii")
    except UnicodeEncodeError as error:
        raise CannotEncode("A header is not in ASCII.") from error
    if max(map(len, written.split(b"\r\n"))) > _LINE_LIMIT:
        raise CannotEncode("A header is longer than a line may be.")
    return written


def message_id(claimed: ClaimedDelivery, mail_domain: str) -> str:
    """Give the Message-ID of this recipient's e-mail: unique in the world, also after a database began anew."""
    return f"<{claimed.message_id.hex}.{claimed.recipient_id}@{mail_domain}>"


def envelope_sender(recipient_id: int, mail_domain: str) -> str:
    """Give the address that bounces come back to; it names the recipient they are about."""
    return f"bounces+r{recipient_id}@{mail_domain}"


def ascii_address(address: str) -> str:
    """Write the domain of an address as SMTP takes it (RFC 5891).

    Raises `NotExpressible` for an address that cannot be written so, and for what is no plain address: whatever
    stands in an account's row, nothing but an address gets into a header or an SMTP command.
    """
    local, _, domain = address.rpartition("@")
    try:
        written = f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError as error:
        raise CannotEncode("The address has a domain that cannot be written in ASCII.") from error
    if _ADDRESS.fullmatch(written) is None:
        raise CannotEncode("The address is not of the form name@example.com in ASCII.")
    return written


def _people(claimed: ClaimedDelivery, mail_domain: str) -> People:
    """Name the address headers with display name and address; the sender speaks through our own domain."""
    people = {
        "From": (claimed.sender_name, f"messages@{mail_domain}"),
        "To": (claimed.account_name, ascii_address(claimed.address)),
    }
    if claimed.sender_email:
        people["Reply-To"] = (claimed.sender_name, ascii_address(claimed.sender_email))
    return people


def _unsubscribing(claimed: ClaimedDelivery, mail_domain: str, url: str | None) -> dict[str, str]:
    """Write the headers of RFC 2369 and, where there is a page, of RFC 8058: they stand on one line and as they are."""
    if url is None:
        return {"List-Unsubscribe": f"<mailto:unsubscribe@{mail_domain}?subject=r{claimed.recipient_id}>"}
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _mailbox(header: str, display: str, address: str) -> str:
    if _is_plain(display, _NAME_LIMIT):
        return formataddr((display, address))
    return f"{_words(header, display)} <{address}>"


def _read_mailbox(value: str) -> tuple[str, str]:
    """Read a mailbox back. The newer parser parts the encoded words of a long name by blanks, against RFC 2047 6.2."""
    display, address = parseaddr(value)
    return str(make_header(decode_header(display))), address


def _words(header: str, text: str) -> str:
    """Write a text literally where it is harmless, else as encoded words of at most 76 characters a line (RFC 2047)."""
    return (
        text
        if _is_plain(text, _PLAIN_LIMIT)
        else Header(text, "utf-8", _ENCODED_LINE_LIMIT, header).encode(linesep="\r\n")
    )


def _is_plain(text: str, limit: int) -> bool:
    return len(text) <= limit and _PLAIN.fullmatch(text) is not None


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _compare(read: Message, headers: Mapping[str, str], people: People, claimed: ClaimedDelivery) -> None:
    """Raise `NotExpressible` unless these headers were read and no others, and each says what was meant."""
    if read.keys() != list(headers):
        raise CannotEncode("A header appeared that nobody wrote.")
    for name, written in headers.items():
        if not _is_meant(name, read[name], written, people, claimed):
            raise CannotEncode(f"The header {name} would not read as it was meant.")
    body = read.get_payload(decode=True)
    if not isinstance(body, bytes) or _lines(body.decode()) != _lines(claimed.body):
        raise CannotEncode("The body would not read as it was meant.")


def _is_meant(name: str, read: str, written: str, people: People, claimed: ClaimedDelivery) -> bool:
    if name == "Subject":  # As the newest parser reads it, which decodes what the older ones leave as it is.
        return str(policy.default.header_fetch_parse(name, read)) == claimed.subject
    return _read_mailbox(read) == people[name] if name in people else read == written
