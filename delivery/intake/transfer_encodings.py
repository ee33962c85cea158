"""Undo the `Content-Transfer-Encoding` of a part (RFC 2045 6), strictly: what is not well-formed is refused."""

import binascii
import re

from delivery.intake.errors import InvalidInput, body_fault

_IDENTITIES = frozenset({b"7bit", b"8bit", b"binary"})
_BLANKS = b" \t"
# No text of a message has more lines.
_LINE_LIMIT = 65_536
# Each run of blanks is looked at once: the match is possessive, and does not begin within a run.
_BLANKS_AT_END = re.compile(rb"(?<![ \t])[ \t]++(?=\r\n|\Z)")
_WHITE_SPACE = b" \t\r\n"
# Printable ASCII, TAB and line breaks, where each `=` begins an escape or ends a line.
_QUOTED_PRINTABLE = re.compile(rb"(?:[\t\r\n -<>-~]|=(?:[0-9A-Fa-f]{2}|\r?\n|\Z))*+")


def decode_transfer(data: bytes, encoding: bytes) -> bytes:
    """Return the bytes that a part's data stands for. Raises `InvalidInput`."""
    name = encoding.strip(_BLANKS).lower()
    if name in _IDENTITIES:
        return data
    if name == b"base64":
        return _decode_base64(data)
    if name == b"quoted-printable":
        return _decode_quoted_printable(data)
    raise body_fault(
        "invalid_encoding", "A part has a Content-Transfer-Encoding that is not taken. Send its text as it is."
    )


def _decode_base64(data: bytes) -> bytes:
    try:
        return binascii.a2b_base64(data.translate(None, _WHITE_SPACE), strict_mode=True)
    except binascii.Error as error:
        raise _malformed("base64") from error


def _decode_quoted_printable(data: bytes) -> bytes:
    # Blanks at the end of a line were added on the way (RFC 2045 6.7, rule 3).
    lines, stripped = _BLANKS_AT_END.subn(b"", data, count=_LINE_LIMIT + 1)
    if stripped > _LINE_LIMIT or not _QUOTED_PRINTABLE.fullmatch(lines):
        raise _malformed("quoted-printable")
    return binascii.a2b_qp(lines)


def _malformed(name: str) -> InvalidInput:
    return body_fault("invalid_encoding", f"A part is not well-formed {name}, as its Content-Transfer-Encoding says.")
