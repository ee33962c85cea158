"""The fields of a message are read into a draft, or every fault in them is reported at once."""

import re
import sys
import unicodedata
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.intake.errors import InvalidInput
from delivery.intake.fields import has_forbidden, is_blank
from delivery.intake.messages import Draft, read_draft, unknown_recipient
from delivery.intake.uuids import read_uuid
from delivery.vocabulary import MessageType
from tests.support import build

ABSENT = object()
ONE = "31c8d3e7-1c77-4b94-8b4d-0a2f4ad1b0c1"
TWO = "d4a2b7a0-5d0e-4c53-9a40-6a1f1f1f0000"


def faults_of(**chosen: object) -> list[tuple[str, str]]:
    """Return place and code of each fault of a valid message with these fields changed."""
    fields = {name: value for name, value in build.fields(**chosen).items() if value is not ABSENT}
    try:
        read_draft(fields)
    except InvalidInput as caught:
        return [(fault.place, fault.code) for fault in caught.faults]
    return []


def test_a_message_with_everything_becomes_a_draft_as_it_was_given() -> None:
    fields = build.fields(
        recipient_uuids=[ONE, TWO],
        sender_name=" Anna ",
        sender_email="anna@b\u00fccher.example",
        subject="=?utf-8?q?=0D=0ABcc:x@y.z?=",
        body=" a\tb\r\nc\n\n",
        type="rfq",
    )

    draft = read_draft(fields)

    assert (
        Draft(
            recipient_ids=(UUID(ONE), UUID(TWO)),
            sender_name=" Anna ",
            sender_email="anna@b\u00fccher.example",
            subject="=?utf-8?q?=0D=0ABcc:x@y.z?=",
            body=" a\tb\r\nc\n\n",
            type=MessageType.RFQ,
        )
        == draft
    )


@pytest.mark.parametrize("nothing", [ABSENT, None, ""])
def test_an_optional_field_may_be_absent_null_or_empty(nothing: object) -> None:
    fields = {key: value for key, value in build.fields(sender_email=nothing, type=nothing).items() if value != ABSENT}

    draft = read_draft(fields)

    assert (None, MessageType.OTHER) == (draft.sender_email, draft.type)


def test_read_only_and_unknown_fields_are_ignored_whatever_they_hold() -> None:
    noise = {"time_created": 5, "time_sent": [], "status": None, "status_code": {}, "uuid": "x", "no such": "\x00"}

    assert read_draft(build.fields()) == read_draft(build.fields(**noise))


def test_a_single_recipient_may_stand_without_a_list() -> None:
    assert (UUID(ONE),) == read_draft(build.fields(recipient_uuids=ONE)).recipient_ids


def test_the_same_account_twice_in_any_case_is_one_recipient_at_its_first_place() -> None:
    draft = read_draft(build.fields(recipient_uuids=[TWO, ONE, TWO.upper(), ONE]))

    assert (UUID(TWO), UUID(ONE)) == draft.recipient_ids


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ABSENT, [("recipient_uuids", "required")]),
        (None, [("recipient_uuids", "required")]),
        ([], [("recipient_uuids", "too_few")]),
        ({}, [("recipient_uuids", "wrong_type")]),
        (7, [("recipient_uuids", "wrong_type")]),
        (True, [("recipient_uuids", "wrong_type")]),
        ("", [("recipient_uuids[0]", "invalid_uuid")]),
        (
            [ONE, None, 5, [], "x"],
            [
                ("recipient_uuids[1]", "wrong_type"),
                ("recipient_uuids[2]", "wrong_type"),
                ("recipient_uuids[3]", "wrong_type"),
                ("recipient_uuids[4]", "invalid_uuid"),
            ],
        ),
        ([ONE] * 25, []),
        ([ONE] * 26, [("recipient_uuids", "too_many")]),
    ],
)
def test_recipients_are_a_list_of_1_to_25_uuids_counted_before_duplicates_collapse(
    value: object, expected: list[tuple[str, str]]
) -> None:
    assert expected == faults_of(recipient_uuids=value)


@pytest.mark.parametrize(
    "text",
    [
        "{" + ONE + "}",
        "urn:uuid:" + ONE,
        ONE.replace("-", ""),
        ONE.replace("3", "\uff13"),
        ONE.replace("3", "\u0663"),
        " " + ONE,
        ONE + " ",
        ONE + "\n",
        ONE[:-1],
        ONE + "0",
        ONE.replace("-", "_"),
        ONE.replace("a", "g"),
        ONE.replace("a", "\u0430"),
        ONE.replace("1c77-4b94", "1c774-b94"),
        "",
    ],
)
def test_only_the_canonical_form_is_a_uuid(text: str) -> None:
    assert None is read_uuid(text)
    assert [("recipient_uuids[0]", "invalid_uuid")] == faults_of(recipient_uuids=[text])


@given(st.uuids(), st.booleans())
def test_every_uuid_is_read_in_either_case(value: UUID, is_upper: bool) -> None:  # noqa: FBT001 - hypothesis hands it in
    assert value == read_uuid(str(value).upper() if is_upper else str(value))


@pytest.mark.parametrize("field", ["sender_name", "subject", "body"])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (ABSENT, "required"),
        (None, "required"),
        (5, "wrong_type"),
        (1.5, "wrong_type"),
        (False, "wrong_type"),
        (["text"], "wrong_type"),
        ({}, "wrong_type"),
        ("", "blank"),
        (" \u00a0\u3000", "blank"),
        ("\u200b\u2060\ufeff\u00ad", "blank"),
        ("\u3164\u115f\u1160\uffa0\u2800", "blank"),
        ("\ufe0f\u034f\u180b\U000e0100\u17b4", "blank"),
        ("a\x00b", "forbidden_character"),
        ("a\x1bb", "forbidden_character"),
        ("a\x7fb", "forbidden_character"),
        ("a\x85b", "forbidden_character"),
        ("a\x0cb", "forbidden_character"),
        ("a\rb", "forbidden_character"),
        ("a\udcffb", "forbidden_character"),
    ],
)
def test_a_text_is_required_visible_and_free_of_controls(field: str, value: object, code: str) -> None:
    assert [(field, code)] == faults_of(**{field: value})


@pytest.mark.parametrize("field", ["sender_name", "subject"])
@pytest.mark.parametrize("mark", [*"\t\n\u2028\u2029\u202e\u2066\u200e\u061c", "\r\n"])
def test_one_line_holds_no_breaks_and_nothing_that_turns_the_text_around(field: str, mark: str) -> None:
    assert [(field, "forbidden_character")] == faults_of(**{field: f"a{mark}b"})
    assert [(field, "forbidden_character")] == faults_of(**{field: f"a{mark}"})


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\r\nb", "a\u2028b", "\u202eab", "a\u200db"])
def test_a_body_may_have_tabs_lines_and_text_in_any_direction(text: str) -> None:
    assert text == read_draft(build.fields(body=text)).body


@pytest.mark.parametrize(("field", "limit"), [("sender_name", 120), ("subject", 255), ("body", 65_536)])
def test_a_text_is_counted_in_code_points(field: str, limit: int) -> None:
    assert [] == faults_of(**{field: "\U0001f600" * limit})
    assert [(field, "too_long")] == faults_of(**{field: "a" * (limit + 1)})


@pytest.mark.parametrize("text", ["x", ".", "\u0301", "\U0001f600", "\u0645", " x "])
def test_a_text_with_a_visible_character_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("RFQ", "invalid_value"),
        ("quote", "invalid_value"),
        (" ", "invalid_value"),
        (0, "wrong_type"),
        ([], "wrong_type"),
    ],
)
def test_a_type_is_one_of_three_words(value: object, code: str) -> None:
    assert [("type", code)] == faults_of(type=value)


def test_all_faults_are_reported_at_once_in_the_order_of_field_and_number() -> None:
    faults = faults_of(
        recipient_uuids=["x"] * 11, type="quote", subject="", sender_name=None, sender_email="x", body="\x00"
    )

    assert [
        ("body", "forbidden_character"),
        *[(f"recipient_uuids[{index}]", "invalid_uuid") for index in range(11)],
        ("sender_email", "invalid_email"),
        ("sender_name", "required"),
        ("subject", "blank"),
        ("type", "invalid_value"),
    ] == faults


def test_no_fault_repeats_what_the_client_sent() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_draft(dict.fromkeys(build.fields(), "hunter2\x00") | {"sender_email": "hunter2", "type": "hunter2"})

    assert 6 == len(caught.value.faults)
    assert "hunter2" not in str(caught.value) + "".join(fault.message for fault in caught.value.faults)


def test_the_sentence_of_a_fault_names_the_place_of_the_value() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_draft({"recipient_uuids": ["x", 7], "sender_name": "a" * 121, "body": "b"})

    assert [
        "Recipient 0 (counted from 0) is not a UUID of the form 8-4-4-4-12 hexadecimal digits.",
        "Recipient 1 (counted from 0) must be a UUID text.",
        "sender_name has 121 characters; at most 120 are allowed.",
        "subject is missing.",
    ] == [fault.message for fault in caught.value.faults]


def test_an_unknown_recipient_is_named_by_its_number() -> None:
    fault = unknown_recipient(3)

    assert ("recipient_uuids[3]", "unknown_recipient") == (fault.place, fault.code)


_CODES = {
    "required", "blank", "wrong_type", "too_few", "too_many", "too_long", "forbidden_character", "invalid_uuid",
    "invalid_email", "invalid_value",
}  # fmt: skip
any_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(ONE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
known_fields = st.sampled_from([*build.fields(), "sender_email", "type", "status", "anything"])


@given(st.dictionaries(known_fields, any_json), st.booleans())
def test_any_json_is_a_draft_or_invalid_input_and_nothing_else(
    sent: dict[str, object],
    is_complete: bool,  # noqa: FBT001 - hypothesis hands it in
) -> None:
    fields = {**build.fields(), **sent} if is_complete else sent
    try:
        draft = read_draft(fields)
    except InvalidInput as caught:
        faults = caught.faults
        assert faults
        assert all(re.fullmatch(r"[a-z_]+(\[\d+\])?", fault.place) for fault in faults)
        assert {fault.code for fault in faults} <= _CODES
        assert faults == sorted(faults, key=lambda fault: (fault.field, fault.index or 0))
    else:
        assert 1 <= len(draft.recipient_ids) <= 25
        assert (fields["sender_name"], fields["subject"], fields["body"]) == (
            draft.sender_name,
            draft.subject,
            draft.body,
        )


def test_the_forbidden_characters_are_those_of_their_unicode_categories() -> None:
    bidi = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    every = [chr(point) for point in range(sys.maxunicode + 1)]

    in_body = {c for c in every if has_forbidden(c, is_body=True)}
    in_line = {c for c in every if has_forbidden(c, is_body=False)}

    controls = {c for c in every if unicodedata.category(c) in {"Cc", "Cs"}}
    assert controls - {"\t", "\n"} == in_body
    assert controls | {"\u2028", "\u2029"} | bidi == in_line
