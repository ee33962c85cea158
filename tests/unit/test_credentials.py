"""API keys and client secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from delivery.credentials import generate_credential, is_match, parse_credential
from delivery.vocabulary import CredentialKind
from tests.support import build

OTHER_PEPPER = SecretStr("another pepper for tests, 32 or more characters")


@pytest.mark.parametrize(("kind", "start"), [(CredentialKind.API_KEY, "pk_"), (CredentialKind.CLIENT_SECRET, "cs_")])
def test_a_new_credential_matches_its_stored_prefix_and_digest(kind: CredentialKind, start: str) -> None:
    credential = generate_credential(kind, build.PEPPER)

    prefix, secret = parse_credential(credential.text.get_secret_value()) or ("", "")

    assert credential.prefix == prefix
    assert prefix.startswith(start)
    assert is_match(secret, credential.digest, build.PEPPER)


def test_another_secret_or_another_pepper_does_not_match() -> None:
    credential = generate_credential(CredentialKind.API_KEY, build.PEPPER)
    _, secret = parse_credential(credential.text.get_secret_value()) or ("", "")

    assert not is_match(secret, credential.digest, OTHER_PEPPER)
    assert not is_match(secret[:-1], credential.digest, build.PEPPER)
    assert not is_match("", credential.digest, build.PEPPER)


def test_no_two_credentials_are_alike() -> None:
    credentials = [generate_credential(CredentialKind.API_KEY, build.PEPPER) for _ in range(50)]

    assert 50 == len({each.prefix for each in credentials}) == len({each.digest for each in credentials})


def test_the_secret_is_neither_stored_nor_printed() -> None:
    credential = generate_credential(CredentialKind.API_KEY, build.PEPPER)
    _, secret = parse_credential(credential.text.get_secret_value()) or ("", "")

    assert secret not in credential.prefix
    assert secret.encode() not in credential.digest
    assert secret not in repr(credential)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: "xx" + text[2:],
        lambda text: text.replace("_", "-", 1),
        lambda text: text[:3] + "\uff11" + text[4:],
        lambda text: text[:3] + "G" + text[4:],
        lambda _: "",
    ],
)
def test_a_text_of_another_form_is_no_credential(change) -> None:  # type: ignore[no-untyped-def] # a lambda of the table
    text = generate_credential(CredentialKind.API_KEY, build.PEPPER).text.get_secret_value()

    assert None is parse_credential(change(text))


@given(st.text())
def test_any_text_is_a_credential_or_none_and_never_an_error(text: str) -> None:
    parts = parse_credential(text)

    assert parts is None or "_".join(parts) == text
