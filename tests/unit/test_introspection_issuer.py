"""Introspection: a positive answer is checked and kept for a while, a negative one is never kept."""

import asyncio
from typing import Any, cast

import pytest

from api_stub.credentials.issuer import INTROSPECTION_KEPT_S, IntrospectionIssuer
from api_stub.credentials.issuer_claims import ExpiredToken, InvalidToken, IssuerUnreachable, TokenIdentity
from api_stub.credentials.issuer_client import IssuerClient
from tests.support import issuer
from tests.support.issuer import GOOD, NOW, Clock, FakeIssuerClient


def issuer_of(client: FakeIssuerClient, clock: Clock, memory_clock: Clock | None = None) -> IntrospectionIssuer:
    """Make an issuer over this client."""
    return IntrospectionIssuer(
        issuer.asking_settings(), cast(IssuerClient, client), clock=clock, memory_clock=memory_clock or Clock(0.0)
    )


def introspect(answer: dict[str, Any] | None) -> TokenIdentity:
    """Identify a token with an issuer that returns this answer."""
    return asyncio.run(issuer_of(FakeIssuerClient(answer), Clock()).identify("opaque"))


def test_a_positive_answer_identifies_the_client() -> None:
    answer = {"active": True, **issuer.claims(iss=None, jti=None, sub=None, iat=None)}

    assert GOOD == introspect(answer)


@pytest.mark.parametrize(
    "chosen",
    [
        {"active": False},
        {"active": "true"},
        {"active": None},
        {"aud": "https://other.example"},
        {"aud": None},
        {"exp": None},
        {"iss": "https://elsewhere.example"},
        {"client_id": None},
        {"nbf": NOW + 600},
    ],
)
def test_a_positive_answer_for_another_audience_or_without_a_known_time_is_invalid(chosen: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        introspect(issuer.claims(**{"active": True, **chosen}))


def test_a_positive_answer_whose_time_is_over_is_expired() -> None:
    with pytest.raises(ExpiredToken):
        introspect(issuer.claims(active=True, exp=NOW - 1))


def test_an_issuer_that_does_not_answer_is_unreachable() -> None:
    with pytest.raises(IssuerUnreachable):
        introspect(None)


@pytest.mark.parametrize("text", ["", "\u00e9", "a\x00", "x" * 9000])
def test_what_cannot_be_a_token_costs_no_request(text: str) -> None:
    client = FakeIssuerClient(issuer.claims(active=True))

    with pytest.raises(InvalidToken):
        asyncio.run(issuer_of(client, Clock()).identify(text))
    assert [] == client.asked


def test_a_positive_answer_is_kept_for_a_minute_and_never_beyond_its_end() -> None:
    async def check() -> list[int]:
        client, clock, memory_clock = FakeIssuerClient(issuer.claims(active=True, exp=NOW + 70)), Clock(), Clock(0.0)
        trusted = issuer_of(client, clock, memory_clock)
        counts = []
        for passed in (0, INTROSPECTION_KEPT_S - 1, 1):
            clock.now += passed
            memory_clock.now += passed
            await trusted.identify("opaque")
            counts.append(len(client.asked))
        clock.now += 10
        memory_clock.now += 9
        with pytest.raises(ExpiredToken):
            await trusted.identify("opaque")
        return [*counts, len(client.asked)]

    assert [1, 1, 2, 2] == asyncio.run(check())


def test_a_negative_answer_is_not_kept_and_neither_is_the_token() -> None:
    async def check() -> tuple[int, bool]:
        client = FakeIssuerClient({"active": False})
        trusted = issuer_of(client, Clock())
        for _ in range(2):
            with pytest.raises(InvalidToken):
                await trusted.identify("opaque")
        client.answer = issuer.claims(active=True)
        await trusted.identify("opaque")
        return len(client.asked), "opaque" in str(vars(trusted))

    assert (3, False) == asyncio.run(check())


def test_concurrent_requests_with_one_token_wait_for_one_answer() -> None:
    async def check() -> tuple[int, int]:
        client = FakeIssuerClient(issuer.claims(active=True))
        trusted = issuer_of(client, Clock())
        found = await asyncio.gather(*(trusted.identify("opaque") for _ in range(5)))
        return len(client.asked), len(set(found))

    assert (1, 1) == asyncio.run(check())
