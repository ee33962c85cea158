"""Bodies of up to 1 MiB that cost as much as possible to read, by name: their type and their bytes."""

_MULTIPART = "multipart/form-data; boundary=x"
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_MEBIBYTE = 1024 * 1024


def _parts(head: bytes, *, count: int = 64, data: bytes = b"1") -> tuple[str, bytes]:
    part = b'--x\r\nContent-Disposition: form-data; name="f%d"' + head.replace(b"%", b"%%") + b"\r\n\r\n"
    return _MULTIPART, b"".join(part % number + data + b"\r\n" for number in range(count)) + b"--x--\r\n"


def _encoded(encoding: bytes, data: bytes) -> tuple[str, bytes]:
    return _parts(b"\r\nContent-Transfer-Encoding: " + encoding, count=1, data=data)


def _form(piece: bytes) -> tuple[str, bytes]:
    return _FORM, b"a=" + piece * ((_MEBIBYTE - 2) // len(piece))


def _json(piece: bytes, begin: bytes = b"[", end: bytes = b"0]") -> tuple[str, bytes]:
    count = (_MEBIBYTE - 30) // len(piece)
    return _JSON, b'{"recipient_uuids":' + begin + piece * count + end + b"}"


BODIES = {
    "parts with semicolons": _parts(b";" * 3900),
    "230 parts with semicolons": _parts(b";" * 3900, count=230),
    "parts with quoted semicolons": _parts(b'; x="' + b";" * 3900),
    "parts with options": _parts(b";a=1" * 970),
    "types with semicolons": _parts(b"\r\nContent-Type: a/b" + b";" * 3800),
    "parts with headers": _parts(b"".join(b"\r\n%d:" % number for number in range(600))),
    "parts with folded headers": _parts(b"\r\nX: a" + b"\r\n " * 1200),
    "boundaries": (_MULTIPART, b"\r\n--x" * (_MEBIBYTE // 5)),
    "line ends": (_MULTIPART, b"\r\n" * (_MEBIBYTE // 2)),
    "a boundary and blanks": (_MULTIPART, b"\r\n--x" + b" " * (_MEBIBYTE - 5)),
    "a long boundary": ("multipart/form-data; boundary=" + "-" * 70, b"-" * _MEBIBYTE),
    "a type of semicolons": ("multipart/form-data" + ";" * 60_000, b"--x--"),
    "quoted-printable": _encoded(b"quoted-printable", b"=41" * 349_000),
    "quoted-printable lines": _encoded(b"quoted-printable", b"\r\n" * 520_000),
    "quoted-printable blanks": _encoded(b"quoted-printable", b" \r\n" * 349_000),
    "base64": _encoded(b"base64", b"QUFB" * 260_000),
    "escapes": _form(b"%41"),
    "escapes of two bytes": _form(b"%c3%a4"),
    "bare percent signs": _form(b"%"),
    "bare percent signs in text": _form(b"%zz"),
    "plus signs": _form(b"+"),
    "ampersands": _form(b"&"),
    "JSON of lists": _json(b"[],"),
    "JSON of deep lists": _json(b"[[[[[]]]]],"),
    "JSON of brackets": _json(b"[", end=b""),
    "JSON of objects": _json(b'{"a":1},'),
    "JSON of integers": _json(b"1,"),
    "JSON of floats": _json(b"1.1,"),
    "JSON of texts": _json(b'"",'),
    "JSON of texts and brackets": _json(b'""['),
    "JSON of quotes": _json(b'"'),
    "JSON of escapes": _json(b"\\u0041", b'"', b'"'),
    "JSON of backslashes": _json(b"\\\\", b'"', b'"'),
    "JSON of surrogates": _json(b"1.1,", b'["\\ud83d\\ude00",'),
    "JSON of a long number": _json(b"1", b"", b""),
    "JSON of emoji": _json("\U0001f600".encode(), b'"', b'"'),
    "JSON of keys": (_JSON, b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b"}"),
}
