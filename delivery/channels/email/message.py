"""Write a message as an e-mail, and check that parsing it gives back what was put in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy, quoprimime
from email.header import Header, decode_header, make_header
from email.message import Message
from email.utils import format_datetime, formataddr, parseaddr
from typing import TypeAlias

import idna

from delivery.detection.sender_names import misleading_name, without_hidden
from delivery.records.pipeline.claims import ClaimedDelivery

# Printable ASCII words separated by single spaces. Any other text, and one that looks like an encoded word, is encoded.
_PLAIN = re.compile(r"(?!.*=\?)[!-~]+( [!-~]+)*", re.ASCII)
# RFC 5321 4.1.2: a dot-string and a domain; no quoted local part and no address literal.
_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[\w-]+(\.[\w-]+)*", re.ASCII)
_FOLDED_LINE_LIMIT = 76  # RFC 2047 2 for lines with encoded words; RFC 5322 2.1.1 recommends 78.
_LINE_LIMIT = 998  # RFC 5322 2.1.1
# Some mail programs join the encoded words of a long name with spaces, so an ASCII name is not encoded at any length.
_NAME_LIMIT = 210  # A name of 120 characters with what `_mailboxes` adds.
_CONTENT_TYPE = 'text/plain; charset="utf-8"'

Mailboxes: TypeAlias = dict[str, tuple[str, str]]
"""Display name and address for each address header."""


class CannotEncode(Exception):  # noqa: N818 - a fact about the message, not an error of ours
    """No e-mail can carry this message unchanged; the error text says which part of it."""


@dataclass(frozen=True, slots=True)
class MailOrigin:
    """The platform that a mail comes from: its domain, the name that readers know, and all its names."""

    mail_domain: str
    public_name: str
    names: tuple[str, ...] = ()


def compose(claimed: ClaimedDelivery, platform: MailOrigin, *, unsubscribe_url: str | None = None) -> bytes:
    """Return the bytes of the e-mail. Every attempt at a recipient has the same Message-ID.

    With the URL of the recipient's unsubscribe page, mail programs offer to unsubscribe with one click (RFC 8058).
    A sender's name that misleads (`detection.sender_names`) is shown as `"NAME" via PLATFORM`.

    Raises `CannotEncode` when a header or the body, parsed back, differs from what was put in.
    """
    mailboxes = _mailboxes(claimed, platform)
    headers = _headers(claimed, mailboxes, platform.mail_domain, unsubscribe_url)
    content = _write(headers, claimed.body)
    _compare(message_from_bytes(content), headers, mailboxes, claimed)
    return content


def _headers(
    claimed: ClaimedDelivery, mailboxes: Mailboxes, mail_domain: str, unsubscribe_url: str | None
) -> dict[str, str]:
    return {
        **{name: _write_mailbox(name, display, address) for name, (display, address) in mailboxes.items()},
        "Subject": _write_subject(claimed.subject),
        "Date": format_datetime(claimed.read_at),
        "Message-ID": message_id(claimed, mail_domain),
        **_unsubscribe_headers(claimed, mail_domain, unsubscribe_url),
        "Auto-Submitted": "auto-generated",  # So that no vacation responder replies (RFC 3834).
        "MIME-Version": "1.0",
        "Content-Type": _CONTENT_TYPE,
        "Content-Transfer-Encoding": "quoted-printable",
    }


def _write(headers: Mapping[str, str], body: str) -> bytes:
    """Write the headers as they are, and the body as quoted-printable.

    The generator of `email` is not used. With the newer policies it decodes a subject such as
    =?utf-8?q?=0D=0ABcc:x@y.z?= and writes a real header, in Python below 3.13 and in some versions of 3.11 and 3.12.
    It also takes twice as long as all the rest of a mail (both measured).
    """
    encoded = quoprimime.body_encode(_normalize_lines(body).encode().decode("latin-1")).replace("\n", "\r\n")
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    try:
        content = f"{head}\r\n{encoded}".encode("ascii")
    except UnicodeEncodeError as error:
        raise CannotEncode("A header is not in ASCII.") from error
    if max(map(len, content.split(b"\r\n"))) > _LINE_LIMIT:
        raise CannotEncode("A header is longer than a line may be.")
    return content


def message_id(claimed: ClaimedDelivery, mail_domain: str) -> str:
    """Return the Message-ID of this recipient's e-mail. It is unique in the world, even if a database is set up again.

    Recipient ids then begin at 1 again, but the id of a message is a UUID.
    """
    return f"<{claimed.message_id.hex}.{claimed.recipient_id}@{mail_domain}>"


def envelope_sender(recipient_id: int, mail_domain: str) -> str:
    """Return the address that bounces go to. It holds the id of the recipient that they are about."""
    return f"bounces+r{recipient_id}@{mail_domain}"


def ascii_address(address: str) -> str:
    """Return an address with its domain in ASCII, as SMTP requires (RFC 5891).

    Raises `CannotEncode` for an address that has no such form, and for any other text: nothing but an address gets
    into a header or an SMTP command, whatever an account's row holds.
    """
    local, _, domain = address.rpartition("@")
    try:
        encoded = f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError as error:
        raise CannotEncode("The address has a domain that cannot be written in ASCII.") from error
    if _ADDRESS.fullmatch(encoded) is None:
        raise CannotEncode("The address is not of the form name@example.com in ASCII.")
    return encoded


def _mailboxes(claimed: ClaimedDelivery, platform: MailOrigin) -> Mailboxes:
    """Return the mailboxes of the address headers. From has the sender's name, but an address of our own domain.

    Postroom does not check whose address the replies go to, and the name of Reply-To says so.
    """
    shown = _shown_name(claimed.sender_name, platform)
    mailboxes = {
        "From": (shown, f"messages@{platform.mail_domain}"),
        "To": (claimed.account_name, ascii_address(claimed.address)),
    }
    if claimed.sender_email:
        mailboxes["Reply-To"] = (f"{shown} (unverified address)", ascii_address(claimed.sender_email))
    return mailboxes


def _shown_name(name: str, platform: MailOrigin) -> str:
    if misleading_name(name, platform.names) is None:
        return name
    return f'"{without_hidden(name)}" via {platform.public_name}'


def _unsubscribe_headers(claimed: ClaimedDelivery, mail_domain: str, url: str | None) -> dict[str, str]:
    """Return the header of RFC 2369 and, with a URL, that of RFC 8058. They are not encoded or folded."""
    if url is None:
        return {"List-Unsubscribe": f"<mailto:unsubscribe@{mail_domain}?subject=r{claimed.recipient_id}>"}
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _write_mailbox(header: str, display: str, address: str) -> str:
    if _is_plain(display, _NAME_LIMIT):
        return formataddr((display, address))
    encoded = _encode(header, display)
    last_line = f"{header}: {encoded}".rpartition("\r\n")[2]
    fold = "\r\n" if len(f"{last_line} <{address}>") > _FOLDED_LINE_LIMIT else ""
    return f"{encoded}{fold} <{address}>"


def _read_mailbox(value: str) -> tuple[str, str]:
    """Read a mailbox back. The newer parser puts spaces between the encoded words of a name, against RFC 2047 6.2."""
    display, address = parseaddr(value)
    return str(make_header(decode_header(display))), address


def _write_subject(text: str) -> str:
    """Write a plain subject as it is, folded at its spaces: spam filters count encoded ASCII against a mail."""
    if not _is_plain(text, _LINE_LIMIT):
        return _encode("Subject", text)
    lines, room = [""], _FOLDED_LINE_LIMIT - len("Subject:")
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
            room = _FOLDED_LINE_LIMIT - 1
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return "\r\n ".join(lines)


def _encode(header: str, text: str) -> str:
    """Write a text as encoded words in lines of at most 76 characters (RFC 2047)."""
    return Header(text, "utf-8", _FOLDED_LINE_LIMIT, header).encode(linesep="\r\n")


def _is_plain(text: str, limit: int) -> bool:
    return len(text) <= limit and _PLAIN.fullmatch(text) is not None


def _normalize_lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _compare(parsed: Message, headers: Mapping[str, str], mailboxes: Mailboxes, claimed: ClaimedDelivery) -> None:
    """Raise `CannotEncode` unless the parsed mail has these headers and no others, with the intended values."""
    if parsed.keys() != list(headers):
        raise CannotEncode("The mail would have a header that was not written.")
    for name, value in headers.items():
        if not _is_intended(name, parsed[name], value, mailboxes, claimed):
            raise CannotEncode(f"The header {name} would be read with another value.")
    body = parsed.get_payload(decode=True)
    if not isinstance(body, bytes) or _normalize_lines(body.decode()) != _normalize_lines(claimed.body):
        raise CannotEncode("The body would be read as another text.")


def _is_intended(name: str, parsed: str, written: str, mailboxes: Mailboxes, claimed: ClaimedDelivery) -> bool:
    if name == "Subject":  # Parsed by the newest policy, which decodes what the older ones leave as it is.
        return str(policy.default.header_fetch_parse(name, parsed)) == claimed.subject
    return _read_mailbox(parsed) == mailboxes[name] if name in mailboxes else parsed == written
