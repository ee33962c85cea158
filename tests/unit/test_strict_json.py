"""JSON is read more strictly than Python's parser reads it."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.intake.errors import InvalidInput
from delivery.intake.strict_json import is_deeper_than, read_object

_LEAVES = st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=20
)


def code_of(body: bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_object(body)
    (fault,) = caught.value.faults
    assert "" == fault.field
    return fault.code


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("invalid_json", b""),
        ("invalid_json", b"{"),
        ("invalid_json", b"{'a': 1}"),
        ("invalid_json", b'{"a": NaN}'),
        ("invalid_json", b'{"a": Infinity}'),
        ("invalid_json", b'{"a": -Infinity}'),
        ("invalid_json", b'{"a": 1e999}'),
        ("invalid_json", b'{"a": -1e999}'),
        ("invalid_json", b'{"a": 01}'),
        ("invalid_json", b'{"a": 1,}'),
        ("invalid_json", b'{"a": "\x00"}'),
        ("invalid_json", b'{"a": "line\nbreak"}'),
        ("invalid_json", b'{"a": 1} {}'),
        ("invalid_json", b"/* */{}"),
        ("not_an_object", b"[]"),
        ("not_an_object", b"null"),
        ("not_an_object", b'"text"'),
        ("not_an_object", b"1"),
        ("duplicate_key", b'{"a": 1, "a": 2}'),
        ("duplicate_key", b'{"x": {"a": 1, "\\u0061": 2}}'),
        ("too_deep", b'{"a": ' + b"[" * 8 + b"]" * 8 + b"}"),
        ("too_deep", b"[" * 100_000),
        ("too_deep", b'{"a":' * 100_000),
        ("too_deep", (b"[" * 9 + b"]" * 9 + b",") * 1000),
        ("invalid_encoding", b'{"a": "\xff"}'),
        ("invalid_encoding", b'\xef\xbb\xbf{"a": 1}'),
        ("invalid_encoding", '{"a": 1}'.encode("utf-16")),
        ("invalid_encoding", b'{"a": "\\ud800"}'),
        ("invalid_encoding", b'{"a": "\\udc00\\ud800"}'),
        ("invalid_encoding", b'{"\\udfff": 1}'),
        ("invalid_encoding", b'{"a": ["\\uD83D"]}'),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_code(code: str, body: bytes) -> None:
    assert code == code_of(body)


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({}, b"{}"),
        ({"a": "\U0001f600"}, b'{"a": "\\ud83d\\ude00"}'),
        ({"a": "\\ud800"}, b'{"a": "\\\\ud800"}'),
        ({"a": "[[[[[[[[[[[["}, b'{"a": "[[[[[[[[[[[["}'),
        ({"a": '"[[[[[[[[[[['}, b'{"a": "\\"[[[[[[[[[[["}'),
        ({"a": [[[[[[[]]]]]]]}, b'{"a": [[[[[[[]]]]]]]}'),
    ],
)
def test_valid_json_is_read(value: Any, body: bytes) -> None:
    assert value == read_object(body)


def test_a_number_of_any_length_is_not_text_and_takes_no_time() -> None:
    read = read_object(b'{"a": ' + b"9" * 1_000_000 + b"}")

    assert not isinstance(read["a"], str)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), _VALUES, max_size=4))
def test_any_object_that_is_not_too_deep_is_read_as_it_was(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()

    if _depth(value) <= 8:
        assert value == read_object(body)
    else:
        assert "too_deep" == code_of(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(InvalidInput):
        assert isinstance(read_object(body), dict)


@pytest.mark.parametrize("limit", [1, 2, 8])
def test_depth_is_counted_as_it_is_nested(limit: int) -> None:
    mixed = b"".join([b'{"a":[', b"]}"][i % 2] for i in (0, 1))

    assert not is_deeper_than(b"[" * limit + b"]" * limit, limit)
    assert is_deeper_than(b"[" * (limit + 1) + b"]" * (limit + 1), limit)
    assert (limit < 2) == is_deeper_than(mixed, limit)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def test_a_number_is_a_float_and_an_integer_that_a_float_cannot_hold_is_infinite() -> None:
    body = b'{"one": 1, "half": 0.5, "below": -3, "exact": 999999999999999, "long": 1000000000000000}'

    found = read_object(body)

    assert {"one": 1.0, "half": 0.5, "below": -3.0, "exact": 999999999999999.0, "long": float("inf")} == found
    assert {float} == set(map(type, found.values()))
