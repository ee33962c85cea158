"""Which credential a request presents, if any."""

import pytest
from starlette.datastructures import Headers

from api_stub.authentication import PresentedCredential, read_credential
from api_stub.server.errors import ApiError
from delivery.vocabulary import CredentialKind

HEADER = "X-Proz-API-Key"
KEY, TOKEN = CredentialKind.API_KEY, CredentialKind.ACCESS_TOKEN
Pairs = list[tuple[str, str]]


def read(pairs: Pairs) -> PresentedCredential:
    """Return the credential in these headers."""
    return read_credential(Headers(raw=[(name.lower().encode(), value.encode()) for name, value in pairs]), HEADER)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(HEADER, "k")], PresentedCredential(KEY, "k")),
        ([("X-API-Key", "k")], PresentedCredential(KEY, "k")),
        ([("x-api-key", "")], PresentedCredential(KEY, "")),
        ([("Authorization", "Bearer t")], PresentedCredential(TOKEN, "t")),
        ([("Authorization", "bEARER   t")], PresentedCredential(TOKEN, "t")),
        ([("Authorization", "Bearer")], PresentedCredential(TOKEN, "")),
        ([("Authorization", "Bearer ")], PresentedCredential(TOKEN, "")),
        ([("Authorization", "Bearer a b")], PresentedCredential(TOKEN, "a b")),
        ([("Authorization", "Basic YTpi"), (HEADER, "k")], PresentedCredential(KEY, "k")),
    ],
)
def test_one_credential_is_found_however_it_is_written(pairs: Pairs, expected: PresentedCredential) -> None:
    assert expected == read(pairs)


@pytest.mark.parametrize(
    "pairs", [[], [("Authorization", "")], [("Authorization", "Basic YTpi")], [("Authorization", "Bearertoken")]]
)
def test_none_is_unauthorized_without_an_error_in_the_challenge(pairs: Pairs) -> None:
    with pytest.raises(ApiError) as refused:
        read(pairs)

    assert (401, "unauthorized") == (refused.value.status, refused.value.error)
    assert {"WWW-Authenticate": 'Bearer realm="Service"'} == refused.value.headers


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ([(HEADER, "k"), (HEADER, "k")], HEADER),
        ([(HEADER, "k"), ("X-API-Key", "k")], HEADER),
        ([("X-API-Key", "k"), ("X-API-Key", "l")], HEADER),
        ([("Authorization", "Bearer t"), ("Authorization", "Bearer t")], "Authorization"),
        ([("Authorization", "Bearer t"), ("Authorization", "Basic YTpi")], "Authorization"),
        ([("Authorization", "Bearer t"), (HEADER, "k")], "Authorization"),
        ([("Authorization", "Bearer"), ("X-API-Key", "k")], "Authorization"),
    ],
)
def test_several_are_an_invalid_request_that_names_the_header(pairs: Pairs, field: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(pairs)

    assert (400, "invalid_request") == (refused.value.status, refused.value.error)
    assert [(field, "invalid_request")] == [(fault.field, fault.code) for fault in refused.value.faults]
