"""Signed tokens of a trusted issuer: which are valid, and which only look valid."""

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import suppress
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import ValidationError

from api_stub.credentials.issuer import JwtIssuer, open_issuer
from api_stub.credentials.issuer_claims import ExpiredToken, InvalidToken, IssuerUnreachable, TokenIdentity
from api_stub.credentials.issuer_client import IssuerClient
from api_stub.credentials.issuer_jwks import KEPT_S, PAUSE_AFTER_FAILURE_S, PAUSE_S, IssuerKeys
from tests.support import build, issuer
from tests.support.issuer import AUDIENCE, CURVE_KEY, GOOD, KEY, NOW, OTHER_KEY, Clock, FakeIssuerClient


def signing(client: FakeIssuerClient | None = None, **chosen: Any) -> JwtIssuer:
    """Make a JWT issuer over this client."""
    real = cast(IssuerClient, client or FakeIssuerClient(issuer.published(KEY)))
    return JwtIssuer(issuer.settings(**chosen), real, Clock())


def identify(token: str, **chosen: Any) -> TokenIdentity:
    """Identify a token with a JWT issuer."""
    return asyncio.run(signing(**chosen).identify(token))


def signed_with_the_public_key() -> str:
    """Forge a token: HMAC with the public key as its secret."""
    content = f"{issuer.part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'one'})}.{issuer.part(issuer.claims())}"
    digest = hmac.digest(KEY.as_pem(private=False), content.encode(), hashlib.sha256)
    return f"{content}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def test_a_good_token_names_its_client_and_those_of_its_scopes_that_are_ours() -> None:
    assert GOOD == identify(issuer.token())


def test_an_audience_may_be_one_of_several() -> None:
    assert GOOD == identify(issuer.token(aud=["https://other.example", AUDIENCE]))


def test_another_claim_may_name_the_client() -> None:
    named = identify(issuer.token(client_id=None, azp="shop"), issuer_client_claim="azp")

    assert "shop" == named.client


@pytest.mark.parametrize(
    "chosen",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": None},
        {"aud": []},
        {"aud": AUDIENCE + "/"},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": NOW + 600},
        {"nbf": NOW + 600},
        {"jti": None},
        {"sub": None},
        {"iat": None},
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "a\x00b"},
        {"client_id": ["a"]},
        {"client_id": "x" * 201},
    ],
)
def test_a_token_with_a_wrong_or_missing_claim_proves_nothing(chosen: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        identify(issuer.token(**chosen))


@pytest.mark.parametrize("exp", [NOW, NOW - 1, NOW - 3600])
def test_a_token_is_expired_by_the_second(exp: int) -> None:
    with pytest.raises(ExpiredToken):
        identify(issuer.token(exp=exp))


def test_the_issuers_clock_may_be_a_little_ahead() -> None:
    assert GOOD == identify(issuer.token(iat=NOW + 20, nbf=NOW + 20))


@pytest.mark.parametrize(
    "header", [{"typ": None}, {"typ": "JWT"}, {"typ": "id+jwt"}, {"kid": 7}, {"kid": "unknown"}, {"alg": "RS384"}]
)
def test_a_token_with_a_wrong_header_proves_nothing(header: dict[str, Any]) -> None:
    good = issuer.token().split(".")
    head = {"alg": "RS256", "typ": "at+jwt", "kid": "one", **header}
    text = ".".join([issuer.part({k: v for k, v in head.items() if v is not None}), *good[1:]])
    genuine = text if header == {"kid": 7} else issuer.token(header=header)

    with pytest.raises(InvalidToken):
        identify(genuine)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "a.b.c",
        "a.b.c.d.e",
        "\u00e9.\u00e9.\u00e9",
        "x" * 9000,
        issuer.token(OTHER_KEY, header={"kid": "one"}),
        issuer.token()[:-4] + "AAAA",
        signed_with_the_public_key(),
        f"{issuer.part({'alg': 'none', 'typ': 'at+jwt', 'kid': 'one'})}.{issuer.part(issuer.claims())}.",
        f"{base64.urlsafe_b64encode(b'[' * 6000).decode()}.e30.AA",
    ],
)
def test_what_the_issuer_did_not_sign_proves_nothing(text: str) -> None:
    with pytest.raises(InvalidToken):
        identify(text)


def signed(header: str, content: str) -> str:
    """Sign parts as they are written, as only the issuer can."""
    text = ".".join(base64.urlsafe_b64encode(each.encode()).decode().rstrip("=") for each in (header, content))
    key: Any = KEY.private_key
    signature = key.sign(text.encode(), PKCS1v15(), SHA256())
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("header", "claim"),
    [
        ('"crit":[]', '"a":1'),
        ('"crit":["exp"]', '"a":1'),
        ('"cty":"JWT"', '"a":1'),
        ('"kid":"one"', '"a":1'),
        ('"x5t":"a"', '"aud":"https://postroom.example"'),
        ('"x5t":"a"', '"a":{"b":1,"b":1}'),
    ],
)
def test_names_that_stand_twice_and_extensions_prove_nothing_though_the_issuer_signed_them(
    header: str, claim: str
) -> None:
    head, claims = '{"alg":"RS256","typ":"at+jwt","kid":"one",%s}', json.dumps(issuer.claims())[:-1] + ",%s}"

    assert GOOD == identify(signed(head % '"x5t":"a"', claims % '"a":1'))
    with pytest.raises(InvalidToken):
        identify(signed(head % header, claims % claim))


def test_a_key_of_another_family_is_refused_though_the_issuer_publishes_it() -> None:
    client = FakeIssuerClient(issuer.published(KEY, CURVE_KEY))

    with pytest.raises(InvalidToken):
        identify(issuer.token(CURVE_KEY, header={"alg": "ES256"}), client=client)
    assert GOOD == identify(issuer.token(CURVE_KEY, header={"alg": "ES256"}), client=client, issuer_algorithms="ES256")


def test_a_token_without_a_key_id_needs_a_set_of_one_key() -> None:
    anonymous = issuer.token(header={"kid": None})

    assert GOOD == identify(anonymous)
    with pytest.raises(InvalidToken):
        identify(anonymous, client=FakeIssuerClient(issuer.published(KEY, OTHER_KEY)))


def test_an_issuer_that_is_away_says_nothing_about_the_token() -> None:
    with pytest.raises(IssuerUnreachable):
        identify(issuer.token(), client=FakeIssuerClient(None))


@pytest.mark.parametrize("answer", [{}, {"keys": "none"}, {"keys": None}])
def test_an_issuer_that_answers_nonsense_is_unreachable(answer: dict[str, Any]) -> None:
    with pytest.raises(IssuerUnreachable):
        identify(issuer.token(), client=FakeIssuerClient(answer))


def test_a_broken_key_does_not_spoil_the_others() -> None:
    keys = [{"kty": "RSA", "n": "?"}, {"kty": "XYZ"}, 7, *issuer.published(KEY)["keys"]]

    assert GOOD == identify(issuer.token(), client=FakeIssuerClient({"keys": keys}))


def test_keys_are_fetched_once_and_again_when_they_are_old_or_one_is_unknown_but_not_too_often() -> None:
    async def check() -> list[int]:
        client, clock = FakeIssuerClient(issuer.published(KEY)), Clock(0.0)
        keys = IssuerKeys(lambda: client.get(""), "RSA", clock)
        fetched = []
        for passed, key_id in [(0, "one"), (1, "one"), (1, "two"), (PAUSE_S, "two"), (1, "two"), (KEPT_S, "one")]:
            clock.now += passed
            with suppress(InvalidToken):
                await keys.find(key_id)
            fetched.append(len(client.asked))
        return fetched

    assert [1, 1, 1, 2, 2, 3] == asyncio.run(check())


def test_a_new_key_of_the_issuer_is_found_when_a_token_names_it() -> None:
    async def check() -> None:
        client, clock = FakeIssuerClient(issuer.published(KEY)), Clock(0.0)
        keys = IssuerKeys(lambda: client.get(""), "RSA", clock)
        await keys.find("one")
        client.answer = issuer.published(OTHER_KEY)
        clock.now += PAUSE_S

        await keys.find("two")

        with pytest.raises(InvalidToken):
            await keys.find("one")

    asyncio.run(check())


def test_an_issuer_that_is_away_gets_no_requests_for_a_while_and_known_keys_go_on() -> None:
    async def check() -> int:
        client, clock = FakeIssuerClient(issuer.published(KEY)), Clock(0.0)
        keys = IssuerKeys(lambda: client.get(""), "RSA", clock)
        await keys.find("one")
        client.answer = None
        clock.now += PAUSE_S
        for _ in range(3):
            with pytest.raises(IssuerUnreachable):
                await keys.find("two")
        await keys.find("one")
        clock.now += PAUSE_AFTER_FAILURE_S
        with pytest.raises(IssuerUnreachable):
            await keys.find("two")
        return len(client.asked)

    assert 3 == asyncio.run(check())


def test_without_a_configured_issuer_there_is_none() -> None:
    assert None is open_issuer(build.settings())


@pytest.mark.parametrize(
    "chosen",
    [
        {"issuer_audience": ""},
        {"issuer_jwks_url": ""},
        {"issuer_introspection_url": "https://login.example/introspect"},
        {"issuer": ""},
        {"issuer_jwks_url": "http://login.example/keys"},
        {"issuer_jwks_url": "file:///etc/keys"},
        {"issuer_jwks_url": "https:///keys"},
        {"issuer_algorithms": "HS256"},
        {"issuer_algorithms": "none"},
        {"issuer_algorithms": ""},
        {"issuer_algorithms": "RS256 ES256"},
        {"issuer_algorithms": "RS256 HS256"},
    ],
)
def test_an_issuer_that_is_not_completely_or_not_safely_configured_is_refused_at_the_start(
    chosen: dict[str, str],
) -> None:
    with pytest.raises(ValidationError):
        issuer.settings(**chosen)


def test_plain_http_is_accepted_on_this_machine() -> None:
    url = "http://127.0.0.1:9/keys"

    assert url == issuer.settings(issuer_jwks_url=url).issuer_jwks_url
