"""Forms, urlencoded and multipart, as real and as hostile clients send them."""

import random
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import pytest

from delivery.intake.errors import InvalidInput
from delivery.intake.forms import read_multipart, read_urlencoded
from delivery.intake.percent_escapes import undo_escapes

BOUNDARY = "frontier"
TYPE = f"multipart/form-data; boundary={BOUNDARY}".encode()


def multipart(*parts: tuple[str, bytes], end: bytes = b"--frontier--\r\n") -> bytes:
    body = b"".join(
        b"--frontier\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + value + b"\r\n"
        for disposition, value in parts
    )
    return body + end


def code_of(caught: pytest.ExceptionInfo[InvalidInput]) -> str:
    (fault,) = caught.value.faults
    assert "" == fault.field
    return fault.code


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({}, b""),
        ({"subject": "a b+c&=\u00e4"}, b"subject=a+b%2Bc%26%3D%C3%A4"),
        ({"subject": "\u00e4"}, "subject=\u00e4".encode()),
        ({"subject": ""}, b"subject="),
        ({"subject": ""}, b"subject"),
        ({"recipient_uuids": ["x"]}, b"recipient_uuids=x"),
        ({"recipient_uuids": ["x", "y"]}, b"recipient_uuids=x&recipient_uuids=y"),
        ({"recipient_uuids": ["x", "y"]}, b"recipient_uuids%5B%5D=x&recipient_uuids[]=y"),
        (
            {"recipient_uuids": ["x", "y", "z"], "a": "1"},
            b"recipient_uuids[0]=x&a=1&recipient_uuids[1]=y&recipient_uuids=z",
        ),
        ({"recipient_uuids[a]": "x"}, b"recipient_uuids[a]=x"),
        ({"subject": "\u20ac", "_charset_": "windows-1252"}, b"subject=%80&_charset_=windows-1252"),
        ({"subject": "\u00e4", "_charset_": ""}, b"subject=%C3%A4&_charset_="),
    ],
)
def test_urlencoded_fields_are_read(fields: Mapping[str, object], body: bytes) -> None:
    assert fields == read_urlencoded(body)


@pytest.mark.parametrize("body", [b"subject=%C3%A4+%e4", b"subject=\xc3\xa4+\xe4"])
def test_an_urlencoded_body_is_read_in_its_charset(body: bytes) -> None:
    assert {"subject": "\u00c3\u00a4 \u00e4"} == read_urlencoded(body, b"ISO-8859-1")


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("duplicate_key", b"subject=a&subject=a"),
        ("duplicate_key", b"unknown=a&unknown=b"),
        ("invalid_encoding", b"subject=%ff"),
        ("invalid_encoding", b"%c3=a"),
        ("invalid_encoding", b"subject=\xff"),
        ("too_many", b"&".join(b"a%d=" % number for number in range(1001))),
        ("too_many", b"a&" * 500_000),
    ],
)
def test_an_urlencoded_body_that_is_wrong_as_a_whole_is_refused(code: str, body: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_urlencoded(body)

    assert code == code_of(caught)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({}, multipart()),
        ({"subject": "two\r\nlines"}, multipart(('name="subject"', b"two\r\nlines"))),
        ({"subject": "\u00e4"}, multipart(("name=subject", "\u00e4".encode()))),
        (
            {"recipient_uuids": ["x", "y"]},
            multipart(('name="recipient_uuids[]"', b"x"), ('name="recipient_uuids[7]"', b"y")),
        ),
        ({"body": b"file"}, multipart(('name="body"; filename="a.txt"', b"file"))),
    ],
)
def test_multipart_fields_are_read(fields: Mapping[str, object], body: bytes) -> None:
    assert fields == read_multipart(body, TYPE)


@pytest.mark.parametrize(
    "around",
    [
        b"Text before.\r\n%b",
        b"\r\n%b",
        b"Not at the start of a line: --frontier\r\n--frontiers\r\n%b",
        b"%bText after.\r\n--frontier\r\nno header",
        b"%b--frontier--",
    ],
)
def test_text_before_and_after_the_parts_is_ignored(around: bytes) -> None:
    good = multipart(("name=subject", b"a"))

    assert {"subject": "a"} == read_multipart(around % good, TYPE)


def test_blanks_after_a_boundary_are_ignored() -> None:
    good = multipart(("name=a", b"1"), ("name=b", b"2"))

    padded = good.replace(b"--frontier\r\n", b"--frontier \t \r\n").replace(b"--frontier--", b"--frontier-- ")

    assert {"a": "1", "b": "2"} == read_multipart(padded, TYPE)


def with_headers(value: bytes, *lines: bytes) -> bytes:
    return multipart(('name="body"\r\n' + "\r\n".join(line.decode() for line in lines), value))


@pytest.mark.parametrize(
    ("text", "value", "headers"),
    [
        ("Hello", b"SGVsbG8=", [b"Content-Transfer-Encoding: base64"]),
        ("Hello", b"SGVs\r\nbG8=\r\n", [b"content-transfer-encoding:\tBASE64 "]),
        ("", b"", [b"Content-Transfer-Encoding: base64"]),
        ("a=\u00e4 b", b"a=3D=C3=\r\n=a4 b  ", [b"Content-Transfer-Encoding: quoted-printable"]),
        ("a b\r\n\tc", b"a b \r\n\tc=", [b"Content-Transfer-Encoding: Quoted-Printable"]),
        ("=41", b"=41", [b"Content-Transfer-Encoding: 7bit"]),
        ("\u00e4", b"\xc3\xa4", [b"Content-Transfer-Encoding: 8bit"]),
        ("\u00e4", b"\xc3\xa4", [b"Content-Transfer-Encoding: binary"]),
        ("\u00e4", b"\xe4", [b"Content-Type: text/plain; charset=iso-8859-1"]),
        ("\u20ac", b"\x80", [b'Content-Type: text/plain; charset="Windows-1252"']),
        ("\u20ac", b"\xa4", [b"Content-Type: text/plain; charset=ISO_8859-15"]),
        ("\u0434", b"\xc4", [b"Content-Type: text/plain; charset=koi8-r"]),
        ("a", b"a", [b"Content-Type: text/plain; charset=US-ASCII"]),
        ("\u00e4", b"=E4", [b"Content-Transfer-Encoding: quoted-printable", b"Content-Type: a/b; charset=latin1"]),
        ("a", b"a", [b"X-Folded: one\r\n two"]),
    ],
)
def test_a_part_is_decoded_as_it_says_of_itself(text: str, value: bytes, headers: list[bytes]) -> None:
    assert {"body": text} == read_multipart(with_headers(value, *headers), TYPE)


@pytest.mark.parametrize("number", [*range(1, 12), *range(13, 17)])
def test_every_latin_charset_is_known(number: int) -> None:
    assert {"body": "a"} == read_multipart(with_headers(b"a", b"Content-Type: a/b; charset=iso-8859-%d" % number), TYPE)


@pytest.mark.parametrize("number", range(1250, 1259))
def test_every_windows_charset_is_known(number: int) -> None:
    assert {"body": "a"} == read_multipart(with_headers(b"a", b"Content-Type: a/b; charset=windows-%d" % number), TYPE)


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"SGVsbG8", [b"Content-Transfer-Encoding: base64"]),
        (b"SGVsbG8=SGVs", [b"Content-Transfer-Encoding: base64"]),
        (b"Hello, world", [b"Content-Transfer-Encoding: base64"]),
        (b"100=%", [b"Content-Transfer-Encoding: quoted-printable"]),
        (b"\xc3\xa4", [b"Content-Transfer-Encoding: quoted-printable"]),
        (b"a", [b"Content-Transfer-Encoding: gzip"]),
        (b"a", [b"Content-Transfer-Encoding:"]),
        (b"a", [b"Content-Transfer-Encoding: 8bit", b"Content-Transfer-Encoding: base64"]),
        (b"\xe4", [b"Content-Type: text/plain; charset=us-ascii"]),
        (b"\x81", [b"Content-Type: text/plain; charset=windows-1252"]),
        (b"a\0", [b"Content-Type: text/plain; charset=utf-16le"]),
        (b"+AOQ-", [b"Content-Type: text/plain; charset=utf-7"]),
        (b"a", [b"Content-Type: text/plain; charset=rot13"]),
        (b"a", [b"Content-Type: text/plain; charset="]),
        (b"a", [b"no colon"]),
        (b"a", [b"X-Bare-Return: a\rb"]),
    ],
)
def test_a_part_that_cannot_be_decoded_as_it_says_is_refused(value: bytes, headers: list[bytes]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_multipart(with_headers(value, *headers), TYPE)

    assert "invalid_encoding" == code_of(caught)


@pytest.mark.parametrize("kind", [b"multipart/mixed; boundary=c", b"Multipart/Alternative"])
def test_a_part_that_is_multipart_itself_is_no_text(kind: bytes) -> None:
    form = read_multipart(with_headers(b"--c\r\n\r\nHello\r\n--c--", b"Content-Type: " + kind), TYPE)

    assert {"body": b"--c\r\n\r\nHello\r\n--c--"} == form


@pytest.mark.parametrize(("own", "text"), [(b"", "\u20ac"), (b"\r\nContent-Type: a/b; charset=koi8-r", "\u2500")])
def test_a_field_may_name_the_charset_of_those_that_name_none(own: bytes, text: str) -> None:
    body = multipart(("name=body" + own.decode(), b"\x80"), ("name=_charset_", b"windows-1252"))

    assert text == read_multipart(body, TYPE)["body"]


def test_a_part_may_end_after_its_headers() -> None:
    body = b"--frontier\r\nContent-Disposition: form-data; name=a\r\n\r\n" + multipart(("name=b", b"2"))

    assert {"a": "", "b": "2"} == read_multipart(body, TYPE)


@pytest.mark.parametrize(("count", "is_taken"), [(64, True), (65, False)])
def test_a_form_has_at_most_64_parts(count: int, *, is_taken: bool) -> None:
    body = multipart(*((f"name=a{number}", b"") for number in range(count)))

    if is_taken:
        assert count == len(read_multipart(body, TYPE))
    else:
        with pytest.raises(InvalidInput) as caught:
            read_multipart(body, TYPE)
        assert "too_many" == code_of(caught)


@pytest.mark.parametrize(("size", "is_taken"), [(4096, True), (4097, False)])
def test_a_part_has_at_most_4_kib_of_headers(size: int, *, is_taken: bool) -> None:
    head = b"Content-Disposition: form-data; name=a\r\nX: "
    body = b"--frontier\r\n" + head + b"x" * (size - len(head)) + b"\r\n\r\n1\r\n--frontier--\r\n"

    if is_taken:
        assert {"a": "1"} == read_multipart(body, TYPE)
    else:
        with pytest.raises(InvalidInput) as caught:
            read_multipart(body, TYPE)
        assert "too_long" == code_of(caught)


@pytest.mark.parametrize(
    ("code", "body", "content_type"),
    [
        ("duplicate_key", multipart(('name="subject"', b"a"), ('name="subject"', b"b")), TYPE),
        ("invalid_encoding", multipart(('name="subject"', b"\xff")), TYPE),
        ("invalid_encoding", multipart(('name="subject"', b"a"), end=b""), TYPE),
        ("invalid_encoding", multipart(('title="subject"', b"a")), TYPE),
        ("invalid_encoding", b"", TYPE),
        ("invalid_encoding", b"subject=a", TYPE),
        ("invalid_encoding", b"--frontier\r\nno colon\r\n\r\n", TYPE),
        ("invalid_encoding", multipart(), b"multipart/form-data"),
        ("invalid_encoding", multipart(), b"multipart/form-data; boundary=" + b"x" * 71),
        ("invalid_encoding", multipart(("name=a", b"1"), end=b"--frontier--junk\r\n"), TYPE),
        ("invalid_encoding", b"--frontier junk\r\n" + multipart(("name=a", b"1"))[12:], TYPE),
    ],
)
def test_a_multipart_body_that_is_wrong_as_a_whole_is_refused(code: str, body: bytes, content_type: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_multipart(body, content_type)

    assert code == code_of(caught)


@pytest.mark.parametrize(("count", "is_taken"), [(1000, True), (1001, False)])
def test_a_field_has_at_most_1000_bare_percent_signs(count: int, *, is_taken: bool) -> None:
    body = b"subject=" + b"%%41z" * count

    if is_taken:
        assert {"subject": "%Az" * count} == read_urlencoded(body)
    else:
        with pytest.raises(InvalidInput) as caught:
            read_urlencoded(body)
        assert "invalid_encoding" == code_of(caught)


def test_escapes_are_undone_as_the_standard_library_does() -> None:
    pieces = [b"%", b"4", b"a", b"F", b"z", b"=", b"\r\n", b" ", b"_", b"\t", b".", b"\xff", b"%41", b"%3d", b"%0D%0A"]
    chance = random.Random(14)
    texts = [b"".join(chance.choices(pieces, k=chance.randrange(12))) for _ in range(2000)]

    assert [unquote_to_bytes(each) for each in texts] == [undo_escapes(each) for each in texts]


@pytest.mark.parametrize(("count", "is_taken"), [(48, True), (49, False)])
def test_a_header_has_at_most_50_options(count: int, *, is_taken: bool) -> None:
    body = multipart((f'name=a; x="{";" * count}"', b"1"))

    if is_taken:
        assert {"a": "1"} == read_multipart(body, TYPE)
    else:
        with pytest.raises(InvalidInput) as caught:
            read_multipart(body, TYPE)
        assert "too_long" == code_of(caught)
