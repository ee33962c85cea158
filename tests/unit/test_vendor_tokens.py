"""Access tokens as Keycloak, Okta, Entra ID, Cognito and Auth0 issue them, and other tokens, which give no access."""

import asyncio
from typing import Any, cast

import pytest

from api_stub.credentials.issuer import IntrospectionIssuer, JwtIssuer
from api_stub.credentials.issuer_claims import ExpiredToken, InvalidToken, TokenIdentity
from api_stub.credentials.issuer_client import IssuerClient
from delivery.vocabulary import Scope
from tests.support import issuer
from tests.support.issuer import KEY, NOW, Clock, FakeIssuerClient
from tests.support.vendor_tokens import (
    AUTH0,
    AUTH0_RFC_9068,
    COGNITO,
    ENTRA,
    ENTRA_V1,
    KEYCLOAK,
    OKTA,
    VENDORS,
    Vendor,
)

SEND = frozenset({Scope.MESSAGE_SEND})

# What its ID token has instead, for each vendor. None removes a claim.
ID_TOKENS: dict[str, dict[str, Any]] = {
    "Keycloak": {"typ": "ID", "aud": "shop-backend", "scope": None, "at_hash": "x1", "nonce": "n", "client_id": None},
    "Okta": {"jti": "ID.rad", "aud": OKTA.client, "cid": None, "scp": None, "at_hash": "x1", "nonce": "n"},
    "Entra ID": {"aud": ENTRA.client, "azp": None, "nonce": "n", "preferred_username": "zoe@shop.example"},
    "Entra ID v1.0": {"aud": ENTRA.client, "appid": None, "nonce": "n", "upn": "zoe@shop.example"},
    "Cognito": {"token_use": "id", "aud": COGNITO.client, "client_id": None, "scope": None, "cognito:username": "zoe"},
    "Auth0": {"sub": "auth0|6553", "aud": AUTH0.client, "scope": None, "gty": None, "azp": None, "nonce": "n"},
}


def identify(vendor: Vendor, token: str, **chosen: Any) -> TokenIdentity:
    """Identify a token under the settings of a vendor, which publishes one key beside others that do not count."""
    keys = [{"kty": "RSA", "use": "enc", "kid": "other", "n": "AQAB", "e": "AQAB"}, *issuer.published(KEY)["keys"]]
    client = FakeIssuerClient({"keys": [{**each, "x5t": "x", "issuer": vendor.settings["issuer"]} for each in keys]})
    return asyncio.run(JwtIssuer(vendor.configure(**chosen), cast(IssuerClient, client), Clock()).identify(token))


def introspect(vendor: Vendor, **chosen: Any) -> TokenIdentity:
    """Identify an opaque token of a vendor whose introspection returns the claims of its token."""
    client = FakeIssuerClient({"active": True, "exp": NOW + 600, **vendor.claims, **chosen})
    settings = vendor.configure(issuer_jwks_url="", issuer_introspection_url="https://login.example/introspect")
    return asyncio.run(IntrospectionIssuer(settings, cast(IssuerClient, client), clock=Clock()).identify("opaque"))


@pytest.mark.parametrize("name", VENDORS)
def test_a_token_names_its_client_and_those_of_its_scopes_that_are_ours(name: str) -> None:
    vendor = VENDORS[name]

    assert TokenIdentity(vendor.client, SEND, NOW + 600) == identify(vendor, vendor.token())


@pytest.mark.parametrize("name", VENDORS)
def test_an_introspection_with_these_claims_names_the_same_client_and_scopes(name: str) -> None:
    vendor = VENDORS[name]

    assert TokenIdentity(vendor.client, SEND, NOW + 600) == introspect(vendor)


@pytest.mark.parametrize("name", ID_TOKENS)
def test_an_id_token_is_refused(name: str) -> None:
    vendor = VENDORS[name]

    with pytest.raises(InvalidToken):
        identify(vendor, vendor.token(**ID_TOKENS[name]))


@pytest.mark.parametrize("name", ID_TOKENS)
def test_an_id_token_is_refused_although_its_audience_is_the_one_that_is_set(name: str) -> None:
    vendor = VENDORS[name]
    audience = ID_TOKENS[name]["aud"]

    with pytest.raises(InvalidToken):
        identify(vendor, vendor.token(**ID_TOKENS[name]), issuer_audience=audience)


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize(
    "chosen",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": ["https://other.example"]},
        {"aud": []},
        {"aud": [""]},
        {"exp": None},
        {"iat": None},
        {"nbf": NOW + 600},
        {"client_id": None, "azp": None, "cid": None, "appid": None},
        {"client_id": ["a"], "azp": ["a"], "cid": ["a"], "appid": ["a"]},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "DPoP"},
        {"typ": ["Bearer"]},
        {"token_use": "id"},
        {"token_use": "refresh"},
    ],
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(name: str, chosen: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        identify(VENDORS[name], VENDORS[name].token(**chosen))


@pytest.mark.parametrize("name", sorted(VENDORS.keys() - {"Cognito"}))
def test_a_token_without_an_audience_is_refused(name: str) -> None:
    with pytest.raises(InvalidToken):
        identify(VENDORS[name], VENDORS[name].token(aud=None))


@pytest.mark.parametrize("name", VENDORS)
def test_a_token_that_has_expired_is_refused(name: str) -> None:
    with pytest.raises(ExpiredToken):
        identify(VENDORS[name], VENDORS[name].token(exp=NOW))


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize(
    "type_", ["id+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "JWE"]
)
def test_a_token_of_another_type_is_refused(name: str, type_: str) -> None:
    with pytest.raises(InvalidToken):
        identify(VENDORS[name], VENDORS[name].token(header={"typ": type_}))


@pytest.mark.parametrize("name", sorted(VENDORS.keys() - {"Auth0 with RFC 9068"}))
def test_a_token_whose_type_is_not_that_of_an_access_token_needs_the_setting(name: str) -> None:
    vendor = VENDORS[name]

    with pytest.raises(InvalidToken):
        identify(vendor, vendor.token(), issuer_token_type="at+jwt")


@pytest.mark.parametrize("type_", ["JWT", None])
def test_a_token_that_follows_rfc_9068_needs_its_type_unless_a_setting_allows_others(type_: str | None) -> None:
    with pytest.raises(InvalidToken):
        identify(AUTH0_RFC_9068, AUTH0_RFC_9068.token(header={"typ": type_}))


@pytest.mark.parametrize("vendor", [KEYCLOAK, OKTA, COGNITO, AUTH0])
def test_a_token_that_lacks_the_claim_of_scopes_is_not_taken_for_an_access_token(vendor: Vendor) -> None:
    with pytest.raises(InvalidToken):
        identify(vendor, vendor.token(scope=None, scp=None))


@pytest.mark.parametrize("claim", ["nonce", "at_hash", "c_hash", "s_hash", "events"])
def test_a_token_with_a_claim_of_id_or_logout_tokens_is_refused_unless_it_says_that_it_is_an_access_token(
    claim: str,
) -> None:
    chosen: dict[str, Any] = {claim: "x"}

    with pytest.raises(InvalidToken):
        identify(AUTH0, AUTH0.token(**chosen))
    assert SEND == identify(KEYCLOAK, KEYCLOAK.token(**chosen)).scopes


@pytest.mark.parametrize("vendor", [KEYCLOAK, AUTH0, COGNITO])
@pytest.mark.parametrize("algorithm", ["RS384", "PS256"])
def test_another_algorithm_than_the_one_that_is_set_is_refused(vendor: Vendor, algorithm: str) -> None:
    with pytest.raises(InvalidToken):
        identify(vendor, vendor.token(header={"alg": algorithm}))


@pytest.mark.parametrize("vendor", [KEYCLOAK, AUTH0, COGNITO, ENTRA, OKTA])
def test_an_unsigned_token_is_refused(vendor: Vendor) -> None:
    content = {"iat": NOW - 10, "exp": NOW + 600, **vendor.claims}
    unsigned = f"{issuer.part({'alg': 'none', 'kid': KEY.kid, **vendor.header})}.{issuer.part(content)}."

    with pytest.raises(InvalidToken):
        identify(vendor, unsigned)


def test_a_token_for_another_api_of_a_cognito_pool_grants_nothing_here() -> None:
    for scope in (
        "shop/message.send",
        "message.send",
        "postroom/",
        "xpostroom/message.send",
        "",
        "POSTROOM/message.send",
    ):
        assert frozenset() == identify(COGNITO, COGNITO.token(scope=scope)).scopes


def test_where_no_audience_is_required_one_that_is_there_must_still_be_ours() -> None:
    bound = COGNITO.token(aud="https://postroom.example")

    assert SEND == identify(COGNITO, bound, issuer_audience="https://postroom.example").scopes
    assert SEND == identify(COGNITO, COGNITO.token(), issuer_audience="https://postroom.example").scopes
    with pytest.raises(InvalidToken):
        identify(COGNITO, bound, issuer_audience="https://elsewhere.example")
    with pytest.raises(InvalidToken):
        identify(COGNITO, bound)


@pytest.mark.parametrize("vendor", [ENTRA, ENTRA_V1])
@pytest.mark.parametrize(
    "chosen", [{"scp": "access_as_user"}, {"scp": ""}, {"idtyp": "user"}, {"idtyp": None, "scp": "x"}]
)
def test_the_roles_of_a_user_are_not_scopes_of_the_client(vendor: Vendor, chosen: dict[str, Any]) -> None:
    assert frozenset() == identify(vendor, vendor.token(**chosen)).scopes


def test_an_entra_token_that_says_that_it_is_one_of_a_client_has_its_roles() -> None:
    assert SEND == identify(ENTRA, ENTRA.token(idtyp="app")).scopes


def test_an_entra_token_for_a_user_has_its_scopes_where_the_setting_names_them() -> None:
    delegated = ENTRA.token(scp="message.send openid", roles=["message.read"])

    assert SEND == identify(ENTRA, delegated, issuer_scope_claim="scp").scopes


@pytest.mark.parametrize(
    ("value", "scopes"),
    [
        ("message.send message.read", {Scope.MESSAGE_SEND, Scope.MESSAGE_READ}),
        (["message.send", "message.read"], {Scope.MESSAGE_SEND, Scope.MESSAGE_READ}),
        (["message.send message.read"], set()),
        ([["message.send"], 7, None, {"message.send": 1}], set()),
        ({"message.send": True}, set()),
        (7, set()),
        ("message.send,message.read", set()),
        ("Message.Send", set()),
        ("", set()),
        ([], set()),
    ],
)
@pytest.mark.parametrize("claim", ["scope", "scp"])
def test_scopes_are_a_text_or_a_list_of_texts(claim: str, value: object, scopes: set[Scope]) -> None:
    chosen: dict[str, Any] = {"scp": None, claim: value}

    assert scopes == identify(OKTA, OKTA.token(**chosen), issuer_scope_claim=claim).scopes


@pytest.mark.parametrize("vendor", [OKTA, AUTH0])
def test_the_claim_sub_may_name_the_client(vendor: Vendor) -> None:
    assert vendor.claims["sub"] == identify(vendor, vendor.token(), issuer_client_claim="sub").client


@pytest.mark.parametrize("claim", ["jti", "sub"])
def test_a_token_by_rfc_9068_has_the_claims_that_this_requires(claim: str) -> None:
    with pytest.raises(InvalidToken):
        identify(AUTH0_RFC_9068, AUTH0_RFC_9068.token(**{claim: None}))


@pytest.mark.parametrize("chosen", [{"typ": "Refresh"}, {"typ": "ID"}, {"token_use": "refresh_token"}])
def test_an_introspection_of_another_token_is_refused(chosen: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        introspect(AUTH0, **chosen)
