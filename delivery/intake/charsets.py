"""Decode text in a charset that a client names. A charset that Postroom does not know is refused, never ignored."""

import re

from delivery.intake.errors import InvalidInput, body_fault

UTF_8 = "utf-8"

_SEPARATORS = re.compile(r"[-_ ]")
# A table, because Python's own look-up of codecs remembers every label that it was ever asked for.
_CODECS = {
    "utf8": UTF_8,
    "ascii": "ascii",
    "usascii": "ascii",
    "latin1": "iso8859-1",
    **{f"iso8859{number}": f"iso8859-{number}" for number in (*range(1, 12), *range(13, 17))},
    **{f"{vendor}{number}": f"cp{number}" for vendor in ("windows", "cp") for number in range(1250, 1259)},
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
}


def read_charset(label: bytes | None) -> str:
    """Return the codec of this charset; UTF-8 where none is named. Raises `InvalidInput` for an unknown one."""
    if label is None:
        return UTF_8
    name = _SEPARATORS.sub("", label.decode("latin-1").strip(" '\"").lower())
    if name not in _CODECS:
        raise body_fault("invalid_encoding", "The body names a charset that is not taken. Send UTF-8.")
    return _CODECS[name]


def decode_text(raw: bytes, codec: str) -> str:
    """Decode a field's name or value. Raises `InvalidInput`."""
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        raise _not_in(codec) from error


def _not_in(codec: str) -> InvalidInput:
    if codec == UTF_8:
        return body_fault("invalid_encoding", "A field of the form is not valid UTF-8.")
    return body_fault("invalid_encoding", "A field of the form has bytes that its charset does not have.")
