"""The `Prefer` header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_stub.requests.prefer import read_wait

DEFAULT_S = 2.5


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ([], DEFAULT_S),
        (["wait=5"], 5),
        (["wait=0"], 0),
        (["WAIT = 7"], 7),
        (['wait="3"'], 3),
        (["wait=5; foo=bar"], 5),
        (["handling=lenient, wait=4"], 4),
        (["handling=lenient", "wait=4"], 4),
        (["wait=11"], 10),
        (["wait=999999999"], 10),
        (["wait=6, wait=1"], 6),
        (["respond-async"], 0),
        (["Respond-Async, wait=9"], 0),
        (["wait=9", "respond-async"], 0),
        (["wait"], DEFAULT_S),
        (["wait="], DEFAULT_S),
        (["wait=-1"], DEFAULT_S),
        (["wait=1.5"], DEFAULT_S),
        (["wait=soon"], DEFAULT_S),
        (["wait=\u0665"], DEFAULT_S),
        (["wait=9999999999999999999999"], DEFAULT_S),
        (["await=5"], DEFAULT_S),
        ([""], DEFAULT_S),
    ],
)
def test_a_client_says_how_long_it_waits_and_a_malformed_preference_is_ignored(
    headers: list[str], wait_s: float
) -> None:
    assert wait_s == read_wait(headers, DEFAULT_S)


@given(st.lists(st.text() | st.from_regex(r"(wait|respond-async)[ =\"\d,;]{0,9}"), max_size=3))
def test_whatever_the_header_contains_the_wait_is_at_most_ten_seconds(headers: list[str]) -> None:
    assert 0 <= read_wait(headers, DEFAULT_S) <= 10
