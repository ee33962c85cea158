"""Split a `multipart/form-data` body into its parts (RFC 2046 5.1.1, RFC 7578)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from delivery.intake.errors import InvalidInput, body_fault
from delivery.intake.header_options import read_options

PART_LIMIT = 64
HEADERS_LIMIT_BYTES = 4096
"""Of one part, its line breaks included."""

_BOUNDARY_LIMIT = 70  # RFC 2046 5.1.1
_LINE_END = b"\r\n"
_FOLD = re.compile(rb"\r\n[ \t]+")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+([^\r\n\0]*+)")


@dataclass(frozen=True)
class Part:
    """One part: its headers by their names in lower case, and its data as sent."""

    headers: Mapping[bytes, bytes]
    data: bytes

    @property
    def name(self) -> bytes:
        """The name of the field. Raises `InvalidInput` where there is none."""
        name = self._disposition.get(b"name")
        if name is None:
            raise _malformed()
        return name

    @property
    def is_file(self) -> bool:
        """Whether the part is a file."""
        return b"filename" in self._disposition

    @property
    def holds_parts(self) -> bool:
        """Whether its data are parts again, of which no single one is the value (RFC 7578 4.3)."""
        return self.headers.get(b"content-type", b"").lower().startswith(b"multipart/")

    @property
    def charset(self) -> bytes | None:
        """The charset that the part itself names."""
        return read_options(self.headers.get(b"content-type", b"")).get(b"charset")

    @property
    def transfer_encoding(self) -> bytes:
        """The encoding of its data, which is none by default."""
        return self.headers.get(b"content-transfer-encoding", b"binary")

    @cached_property
    def _disposition(self) -> Mapping[bytes, bytes]:
        return read_options(self.headers.get(b"content-disposition", b""))


def split_parts(body: bytes, content_type: bytes) -> Iterator[Part]:
    """Yield the parts of a body; `content_type` is the whole header's value. Raises `InvalidInput`.

    Text before the first delimiter and after the last one is ignored, and so are blanks at the end of a delimiter.
    """
    boundary = read_options(content_type).get(b"boundary", b"")
    if not 0 < len(boundary) <= _BOUNDARY_LIMIT:
        raise body_fault("invalid_encoding", "The Content-Type multipart/form-data needs a boundary.")
    # The last delimiter is `--boundary--`; after it, any line break or none is taken. A line with more text after the
    # boundary is data, but after a boundary and a blank it is an error.
    delimiter = re.compile(rb"\r\n--" + re.escape(boundary) + rb"(?:[ \t]*+\r\n|(--)[ \t]*+(?:\r?\n|\Z)|([ \t]))")
    content = _LINE_END + body
    start = None
    for number, found in enumerate(delimiter.finditer(content)):
        if found[2]:
            break
        if start is not None:
            yield _read_part(content[start : found.start()])
        if found[1]:
            return
        if number >= PART_LIMIT:
            raise body_fault("too_many", f"The form has more than {PART_LIMIT} parts.")
        start = found.end()
    raise _malformed()


def _read_part(part: bytes) -> Part:
    # A part that has no data may end after its headers.
    head, separator, data = part.partition(_LINE_END * 2)
    if not separator and not part.endswith(_LINE_END):
        raise _malformed()
    if len(head) > HEADERS_LIMIT_BYTES:
        raise body_fault("too_long", f"The headers of a part have more than {HEADERS_LIMIT_BYTES} bytes.")
    headers: dict[bytes, bytes] = {}
    for line in _FOLD.sub(b" ", head.removesuffix(_LINE_END)).split(_LINE_END):
        found = _HEADER.fullmatch(line)
        if found is None or found[1].lower() in headers:
            raise _malformed()
        headers[found[1].lower()] = found[2]
    return Part(headers, data)


def _malformed() -> InvalidInput:
    return body_fault("invalid_encoding", "The body is not well-formed multipart/form-data.")
