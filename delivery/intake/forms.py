"""Read forms, urlencoded and multipart. Each field may occur once, except for the list of recipients."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from delivery.intake.errors import body_fault
from delivery.intake.strict_json import decode

LIST_FIELD = "recipient_uuids"
FIELD_LIMIT = 1000
"""No message has more fields than this. The limit keeps hostile forms cheap to refuse."""

_LIST_MEMBER = re.compile(rf"{LIST_FIELD}(\[\d{{0,4}}\])?", re.ASCII)
_BOUNDARY_LIMIT = 70  # RFC 2046 5.1.1
_Pair = tuple[str, str | bytes]


def read_urlencoded(body: bytes) -> Mapping[str, object]:
    """Read an `application/x-www-form-urlencoded` body. Raises `InvalidInput`."""
    return _gather(_pairs(body))


def read_multipart(body: bytes, content_type: bytes) -> Mapping[str, object]:
    """Read a `multipart/form-data` body; `content_type` is the whole header's value. Raises `InvalidInput`."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _BOUNDARY_LIMIT:
        raise body_fault("invalid_encoding", "The Content-Type multipart/form-data needs a boundary.")
    reader = _PartReader()
    parser = MultipartParser(boundary, cast("Any", reader.callbacks()))
    try:
        parser.write(body)
    except FormParserError as error:
        raise _malformed() from error
    if not reader.is_complete:
        raise _malformed()
    return _gather(reader.fields)


class _PartReader:
    """Collects the parts of a multipart body from the callbacks of the parser."""

    def __init__(self) -> None:
        self.fields: list[_Pair] = []
        self.is_complete = False
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._name: bytes | None = None
        self._is_file = False
        self._data = bytearray()

    def callbacks(self) -> dict[str, object]:
        """Return the callbacks by the parser's names for them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._name, self._is_file = None, False
        self._data = bytearray()

    def _end_header(self) -> None:
        field, value = self._header
        self._header = (bytearray(), bytearray())
        if field.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(value))
            self._name, self._is_file = options.get(b"name"), b"filename" in options

    def _end_part(self) -> None:
        if self._name is None:
            raise _malformed()
        if len(self.fields) >= FIELD_LIMIT:
            raise _too_many()
        data = bytes(self._data)  # A file stays bytes, which no text field accepts.
        self.fields.append((decode_field(self._name), data if self._is_file else decode_field(data)))

    def _end(self) -> None:
        self.is_complete = True


def _pairs(body: bytes) -> Iterator[_Pair]:
    if body.count(b"&") >= FIELD_LIMIT:
        raise _too_many()
    for piece in decode(body).encode().split(b"&"):
        name, _, value = piece.replace(b"+", b" ").partition(b"=")
        if piece:
            yield decode_field(unquote_to_bytes(name)), decode_field(unquote_to_bytes(value))


def decode_field(raw: bytes) -> str:
    """Decode a field's name or value as UTF-8. Raises `InvalidInput`."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise body_fault("invalid_encoding", "A field of the form is not valid UTF-8.") from error


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


def _malformed() -> Exception:
    return body_fault("invalid_encoding", "The body is not well-formed multipart/form-data.")


def _too_many() -> Exception:
    return body_fault("too_many", f"The form has more than {FIELD_LIMIT} fields.")
