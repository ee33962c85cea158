"""Tokens that a trusted issuer is asked about: its yes is believed for us, for now and for a while, its no never."""

import asyncio
from typing import Any, cast

import pytest

from api_stub.credentials.issuer import INTROSPECTION_KEPT_S, IntrospectionIssuer
from api_stub.credentials.issuer_claims import ExpiredToken, InvalidToken, IssuerUnreachable, TokenIdentity
from api_stub.credentials.issuer_client import IssuerClient
from tests.support import issuer
from tests.support.issuer import GOOD, NOW, Clock, FakeIssuerClient


def answering(client: FakeIssuerClient, clock: Clock, memory_clock: Clock | None = None) -> IntrospectionIssuer:
    """Make an issuer that is asked."""
    return IntrospectionIssuer(
        issuer.asking_settings(), cast(IssuerClient, client), clock=clock, memory_clock=memory_clock or Clock(0.0)
    )


def ask(answer: dict[str, Any] | None) -> TokenIdentity:
    """Ask an issuer that answers so."""
    return asyncio.run(answering(FakeIssuerClient(answer), Clock()).identify("opaque"))


def test_an_issuer_that_says_yes_is_believed() -> None:
    yes = {"active": True, **issuer.claims(iss=None, jti=None, sub=None, iat=None)}

    assert GOOD == ask(yes)


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
def test_a_yes_for_somebody_else_or_for_no_known_time_is_a_no(chosen: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        ask(issuer.claims(**{"active": True, **chosen}))


def test_a_yes_for_a_time_that_is_over_is_expired() -> None:
    with pytest.raises(ExpiredToken):
        ask(issuer.claims(active=True, exp=NOW - 1))


def test_an_issuer_that_does_not_answer_is_no_verdict() -> None:
    with pytest.raises(IssuerUnreachable):
        ask(None)


@pytest.mark.parametrize("text", ["", "\u00e9", "a\x00", "x" * 9000])
def test_what_cannot_be_a_token_costs_no_question(text: str) -> None:
    client = FakeIssuerClient(issuer.claims(active=True))

    with pytest.raises(InvalidToken):
        asyncio.run(answering(client, Clock()).identify(text))
    assert [] == client.asked


def test_a_yes_is_remembered_for_a_minute_and_never_beyond_its_end() -> None:
    async def scene() -> list[int]:
        client, clock, memory_clock = FakeIssuerClient(issuer.claims(active=True, exp=NOW + 70)), Clock(), Clock(0.0)
        asked = answering(client, clock, memory_clock)
        counts = []
        for passed in (0, INTROSPECTION_KEPT_S - 1, 1):
            clock.now += passed
            memory_clock.now += passed
            await asked.identify("opaque")
            counts.append(len(client.asked))
        clock.now += 10
        memory_clock.now += 9
        with pytest.raises(ExpiredToken):
            await asked.identify("opaque")
        return [*counts, len(client.asked)]

    assert [1, 1, 2, 2] == asyncio.run(scene())


def test_a_no_is_not_remembered_and_neither_is_the_token() -> None:
    async def scene() -> tuple[int, bool]:
        client = FakeIssuerClient({"active": False})
        asked = answering(client, Clock())
        for _ in range(2):
            with pytest.raises(InvalidToken):
                await asked.identify("opaque")
        client.answer = issuer.claims(active=True)
        await asked.identify("opaque")
        return len(client.asked), "opaque" in str(vars(asked))

    assert (3, False) == asyncio.run(scene())


def test_all_who_show_one_token_at_once_wait_for_one_answer() -> None:
    async def scene() -> tuple[int, int]:
        client = FakeIssuerClient(issuer.claims(active=True))
        asked = answering(client, Clock())
        found = await asyncio.gather(*(asked.identify("opaque") for _ in range(5)))
        return len(client.asked), len(set(found))

    assert (1, 1) == asyncio.run(scene())
