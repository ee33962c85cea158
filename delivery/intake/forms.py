"""Read forms, urlencoded and multipart. Each field may occur once, except for the list of recipients."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from delivery.intake.charsets import UTF_8, decode_text, read_charset
from delivery.intake.errors import body_fault
from delivery.intake.multipart import Part, split_parts
from delivery.intake.percent_escapes import undo_escapes
from delivery.intake.strict_json import decode
from delivery.intake.transfer_encodings import decode_transfer

LIST_FIELD = "recipient_uuids"
FIELD_LIMIT = 1000
"""No message has more fields than this. The limit keeps hostile forms cheap to refuse."""

_LIST_MEMBER = re.compile(rf"{LIST_FIELD}(\[\d{{0,4}}\])?", re.ASCII)
# A field of this name has the charset of all fields that name none themselves (RFC 7578 4.6).
_CHARSET_FIELD = b"_charset_"
_Pair = tuple[str, str | bytes]


def read_urlencoded(body: bytes, charset: bytes | None = None) -> Mapping[str, object]:
    """Read an `application/x-www-form-urlencoded` body, in this charset. Raises `InvalidInput`."""
    return _gather(_pairs(body, charset))


def read_multipart(body: bytes, content_type: bytes) -> Mapping[str, object]:
    """Read a `multipart/form-data` body; `content_type` is the whole header's value. Raises `InvalidInput`."""
    parts = list(split_parts(body, content_type))
    codec = _default_codec([(each.name, each.data) for each in parts], None)
    return _gather((decode_text(each.name, UTF_8), _value_of(each, codec)) for each in parts)


def _value_of(part: Part, codec: str) -> str | bytes:
    if part.is_file or part.holds_parts:
        return part.data  # What is no text stays bytes, which no text field accepts.
    data = decode_transfer(part.data, part.transfer_encoding)
    return decode_text(data, codec if part.charset is None else read_charset(part.charset))


def _pairs(body: bytes, charset: bytes | None) -> Iterator[_Pair]:
    if body.count(b"&") >= FIELD_LIMIT:
        raise _too_many()
    pieces = [piece.replace(b"+", b" ").partition(b"=") for piece in body.split(b"&") if piece]
    pairs = [(undo_escapes(name), undo_escapes(value)) for name, _, value in pieces]
    codec = _default_codec(pairs, charset)
    if codec == UTF_8:
        decode(body)  # Refuses a byte order mark too.
    for name, value in pairs:
        yield decode_text(name, codec), decode_text(value, codec)


def _default_codec(pairs: Sequence[tuple[bytes, bytes]], charset: bytes | None) -> str:
    named = [value for name, value in pairs if name == _CHARSET_FIELD and value]
    return read_charset(named[0] if named else charset)


def _gather(pairs: Iterable[_Pair]) -> Mapping[str, object]:
    """Collect the members of the list in one field, and every other name in a field of its own."""
    fields: dict[str, object] = {}
    members: list[str | bytes] = []
    for name, value in pairs:
        if _LIST_MEMBER.fullmatch(name):
            members.append(value)
        elif name in fields:
            raise body_fault("duplicate_key", "A field stands twice in the form.")
        else:
            fields[name] = value
    return {**fields, LIST_FIELD: members} if members else fields


def _too_many() -> Exception:
    return body_fault("too_many", f"The form has more than {FIELD_LIMIT} fields.")
