"""Forms, urlencoded and multipart, as real and as hostile clients send them."""

from collections.abc import Mapping

import pytest

from delivery.intake.errors import InvalidInput
from delivery.intake.forms import read_multipart, read_urlencoded

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
    ],
)
def test_urlencoded_fields_are_read(fields: Mapping[str, object], body: bytes) -> None:
    assert fields == read_urlencoded(body)


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
        ("too_many", multipart(*((f'name="a{number}"', b"") for number in range(1001))), TYPE),
    ],
)
def test_a_multipart_body_that_is_wrong_as_a_whole_is_refused(code: str, body: bytes, content_type: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_multipart(body, content_type)

    assert code == code_of(caught)
