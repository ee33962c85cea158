"""Tokens of the unsubscribe page: signed, for one account, with an expiry and nothing else in them."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from delivery.credentials import digest
from delivery.unsubscribe_tokens import (
    LIFETIME,
    Permit,
    digest_address,
    read_token,
    unsubscribe_address,
    write_token,
)
from tests.support import build

PEPPER, OTHER = build.PEPPER, SecretStr("another pepper for tests, 32 characters or more")
PERMIT = Permit(build.account_id(1), build.NOON)


@given(
    account_id=st.uuids(),
    seconds=st.integers(0, 2**35),
    address_digest=st.none() | st.binary(min_size=5, max_size=5),
)
def test_a_token_is_valid_under_its_own_pepper_only(
    account_id: UUID, seconds: int, address_digest: bytes | None
) -> None:
    permit = Permit(account_id, datetime.fromtimestamp(seconds, UTC), address_digest)

    token = write_token(permit, PEPPER)

    assert permit == read_token(token, PEPPER)
    assert None is read_token(token, OTHER)


@pytest.mark.parametrize("position", range(37))
@pytest.mark.parametrize("address_digest", [None, b"12345"])
def test_a_token_with_any_byte_changed_is_invalid(position: int, address_digest: bytes | None) -> None:
    permit = replace(PERMIT, address_digest=address_digest)
    raw = bytearray(base64.urlsafe_b64decode(write_token(permit, PEPPER) + "=="))
    raw[-position] ^= 1

    assert None is read_token(base64.urlsafe_b64encode(raw).decode().rstrip("="), PEPPER)


def test_a_digest_cannot_be_taken_out_of_a_token() -> None:
    raw = base64.urlsafe_b64decode(write_token(replace(PERMIT, address_digest=b"12345"), PEPPER) + "==")

    assert None is read_token(base64.urlsafe_b64encode(raw[:21] + raw[26:]).decode(), PEPPER)


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("Ada@Example.COM", True),
        ("ada@example.org", False),
        ("adam@example.com", False),
    ],
)
def test_a_digest_tells_addresses_apart_without_regard_to_case(other: str, *, is_same: bool) -> None:
    digest_of_ada = digest_address("ada@example.com", PEPPER)

    assert is_same == (digest_of_ada == digest_address(other, PEPPER))
    assert digest_of_ada != digest_address("ada@example.com", OTHER)


@given(st.text() | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
def test_no_other_text_is_a_token(text: str) -> None:
    assert None is read_token(text, PEPPER)


def test_another_digest_under_the_pepper_is_no_signature() -> None:
    content = PERMIT.account_id.bytes + int(PERMIT.expires_at.timestamp()).to_bytes(5, "big")
    signatures = [digest(text, PEPPER) for text in (content.decode("latin-1"), "postroom unsubscribe 1")]

    tokens = [base64.urlsafe_b64encode(content + each[:16]).decode().rstrip("=") for each in signatures]

    assert [None, None] == [read_token(token, PEPPER) for token in tokens]


@pytest.mark.parametrize("public_url", ["https://post.example/room", "https://post.example/room/"])
def test_an_address_is_valid_for_a_year_and_fits_on_a_line(public_url: str) -> None:
    address = unsubscribe_address(public_url, PERMIT.account_id, build.NOON, PEPPER) or ""

    head, _, token = address.rpartition("/")
    assert "https://post.example/room/unsubscribe" == head
    assert Permit(PERMIT.account_id, build.NOON + LIFETIME) == read_token(token, PEPPER)
    assert timedelta(days=365) == LIFETIME
    assert 50 == len(token)


def test_an_address_with_the_recipient_in_it_is_little_longer() -> None:
    address = unsubscribe_address("https://post.example", PERMIT.account_id, build.NOON, PEPPER, "ada@example.com")

    token = str(address).rpartition("/")[2]
    permit = Permit(PERMIT.account_id, build.NOON + LIFETIME, digest_address("ada@example.com", PEPPER))
    assert (56, permit) == (len(token), read_token(token, PEPPER))


def test_without_a_public_address_there_is_no_page() -> None:
    assert None is unsubscribe_address("", PERMIT.account_id, build.NOON, PEPPER)


@pytest.mark.parametrize(
    "url",
    [
        "post.example",
        "ftp://post.example",
        "https://",
        "https://a b",
        "https://x>",
        "https://x\r\ny",
        "https://\u00fc.example",
        "https://x\n",
    ],
)
def test_a_public_address_that_cannot_be_written_in_a_mail_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        build.settings(public_url=url)
