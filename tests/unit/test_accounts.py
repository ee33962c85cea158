"""Accounts and preferences: any fields are read into a value or a list of faults."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.intake.account_fields import time_zones
from delivery.intake.accounts import Preferences, parse_account, parse_preferences
from delivery.intake.errors import FieldError, InvalidInput

_FIELDS = [
    "name", "email", "status", "time_zone", "channel", "closed", "accepted_types", "allowed_senders", "blocked_senders",
    "muted_until", "quiet_hours",
]  # fmt: skip
_CODES = {
    "required",
    "blank",
    "wrong_type",
    "too_many",
    "too_long",
    "forbidden_character",
    "invalid_email",
    "invalid_value",
}
_LEAVES = (
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["inbox", "job", "22:00", "a@b.example"])
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["from", "until", "x"]), inner),
    max_leaves=6,
)


def faults_of(read: Callable[[Any], object], fields: object) -> list[FieldError] | None:
    """Return the faults of these fields; None if there are none."""
    try:
        read(fields)
    except InvalidInput as error:
        return error.faults
    return None


@pytest.mark.parametrize("read", [parse_account, parse_preferences])
@given(fields=st.dictionaries(st.sampled_from(_FIELDS), _VALUES))
def test_any_fields_are_a_value_or_faults_and_never_another_exception(
    read: Callable[[Any], object], fields: object
) -> None:
    faults = faults_of(read, fields)

    assert faults is None or faults
    assert {fault.code for fault in faults or ()} <= _CODES
    assert all(fault.message.endswith(".") and "{" not in fault.place for fault in faults or ())


@given(st.text(min_size=3))
def test_no_fault_of_preferences_repeats_what_the_client_sent(text: str) -> None:
    mark = f"\u00a7{text}"

    with pytest.raises(InvalidInput) as caught:
        parse_preferences(
            {
                "channel": mark,
                "closed": mark,
                "accepted_types": [mark],
                "allowed_senders": [mark],
                "muted_until": mark,
                "quiet_hours": {"from": mark, "until": mark},
            }
        )

    assert 7 == len(caught.value.faults)
    assert not [fault for fault in caught.value.faults if mark in fault.message]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"accepted_types": ["job", ""]}, {"accepted_types[1]": "invalid_value"}),
        ({"quiet_hours": {"from": "22:00\n", "until": "07:00"}}, {"quiet_hours.from": "invalid_value"}),
        (
            {"channel": "pigeon", "allowed_senders": [], "blocked_senders": []},
            {"blocked_senders": "invalid_value", "channel": "invalid_value"},
        ),
    ],
)
def test_each_of_these_preferences_has_its_fault(fields: object, expected: dict[str, str]) -> None:
    faults = faults_of(parse_preferences, fields)

    assert expected == {fault.place: fault.code for fault in faults or ()}


def test_the_sentence_of_a_fault_names_the_place_of_the_value() -> None:
    fields = {"channel": 7, "accepted_types": ["job", 7], "quiet_hours": {"from": None}}

    faults = faults_of(parse_preferences, fields)

    assert [
        "Entry 1 (counted from 0) of accepted_types must be text.",
        "channel must be text.",
        "quiet_hours.from is missing.",
        "quiet_hours.until is missing.",
    ] == [fault.message for fault in faults or ()]


def test_absent_preferences_are_the_defaults() -> None:
    assert Preferences() == parse_preferences({})


def test_time_zones_are_names_of_the_iana_database() -> None:
    assert {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata"} < time_zones()
    assert not {"localtime", "Factory", "posixrules"} & time_zones()
