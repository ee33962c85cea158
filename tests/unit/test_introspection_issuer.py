"""Introspection: a positive answer is checked and kept for a while, a negative one is never kept."""

import asyncio
from typing import Any, cast

import pytest

from api_stub.credentials.issuer import INTROSPECTION_KEPT_S, IntrospectionIssuer
from api_stub.credentials.issuer_claims import ExpiredToken, InvalidToken, IssuerUnreachable, TokenIdentity
from api_stub.credentials.issuer_client import IssuerClient
from api_stub.credentials.issuer_slots import Asker
from tests.support import issuer
from tests.support.issuer import GOOD, NOW, Clock, FakeIssuerClient
from tests.support.leaping_loop import now, run


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


class SlowIssuerClient(FakeIssuerClient):
    """Sends each answer after a second, and counts those that are under way."""

    under_way = most = 0

    async def post(self, url: str, form: Any) -> Any:
        """Wait, and call the token inactive unless it is good."""
        del url
        self.asked.append(form)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(1)
        self.under_way -= 1
        return {"active": False} if form["token"].startswith("bad") else issuer.claims(active=True)


async def _guess(asked: IntrospectionIssuer, count: int, asker: Asker) -> None:
    results = await asyncio.gather(
        *(asked.identify(f"bad {number}", asker) for number in range(count)), return_exceptions=True
    )
    assert all(isinstance(each, Exception) for each in results)


def test_many_questions_of_one_address_leave_room_for_those_of_another() -> None:
    client = SlowIssuerClient({})

    async def ask() -> tuple[float, int]:
        asked = issuer_of(client, Clock())
        guesses = asyncio.create_task(_guess(asked, 100, Asker("of guesses")))
        await asyncio.sleep(0.1)
        began = now()
        await asked.identify("good", Asker("client"))
        taken = now() - began
        await guesses
        return taken, client.most

    taken_s, most = run(ask())
    assert (1.0, 9) == (round(taken_s, 3), most)


def test_addresses_with_refusals_together_leave_room_too() -> None:
    client = SlowIssuerClient({})

    async def ask() -> float:
        asked = issuer_of(client, Clock())
        guesses = [
            asyncio.create_task(_guess(asked, 10, Asker(f"of guesses {number}", is_suspect=lambda: True)))
            for number in range(5)
        ]
        await asyncio.sleep(0.1)
        assert 12 == client.under_way
        began = now()
        await asked.identify("good", Asker("client"))
        taken = now() - began
        await asyncio.gather(*guesses)
        return taken

    assert 1.0 == round(run(ask()), 3)


def test_an_address_that_has_used_up_its_refusals_is_not_asked_about_but_known_tokens_are_good() -> None:
    client = SlowIssuerClient({})

    def refuse() -> None:
        raise PermissionError

    async def ask() -> None:
        asked = issuer_of(client, Clock())
        await asked.identify("good", Asker("client"))
        assert GOOD == await asked.identify("good", Asker("client", check=refuse))
        with pytest.raises(PermissionError):
            await asked.identify("bad", Asker("client", check=refuse))

    run(ask())

    assert ["good"] == [form["token"] for form in client.asked if form]
