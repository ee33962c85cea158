"""Kept credentials contain no secret, and uses are recorded beside the requests."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy.exc import OperationalError

from api_stub.credentials.verifier import CredentialVerifier
from delivery.credentials import NewCredential, generate_credential
from delivery.records.database import AsyncDatabase
from delivery.records.identities.clients import StoredCredential
from delivery.records.identities.credentials import USE_NOTED_EVERY, record_use
from delivery.vocabulary import CredentialKind, Scope
from tests.support import build

KEY, TOKEN = CredentialKind.API_KEY, CredentialKind.ACCESS_TOKEN
AWAY = OperationalError("UPDATE", {}, Exception("connection refused"))


class FakeCredentialDatabase:
    """Return the credentials that it holds, and count the queries."""

    def __init__(self, *known: NewCredential, is_expired: bool = False) -> None:
        self.known = {(each.prefix, each.kind): stored(each, is_expired=is_expired) for each in known}
        self.queries = 0
        self.recorded: list[list[str]] = []
        self.is_away = False

    async def run(self, query: Callable[..., Any], values: list[Any]) -> Any:
        """Do what the database does."""
        if query is record_use:
            self.recorded.append(values)
            if self.is_away:
                raise AWAY
            return {}
        self.queries += 1
        return {key: self.known[key] for key in values if key in self.known}


def stored(credential: NewCredential, *, is_expired: bool) -> StoredCredential:
    """Make the stored form of a credential."""
    scopes = frozenset({Scope.MESSAGE_SEND})
    return StoredCredential(build.CLIENT_ID, scopes, digest=credential.digest, is_expired=is_expired)


def verifier_of(database: FakeCredentialDatabase, clock: Callable[[], float] = lambda: 0.0) -> CredentialVerifier:
    """Make a verifier that queries this database."""
    return CredentialVerifier(cast(AsyncDatabase, database), build.PEPPER, clock)


def text_of(credential: NewCredential) -> str:
    """Return the credential as a client presents it."""
    return credential.text.get_secret_value()


def test_a_busy_key_costs_one_query_and_a_wrong_secret_is_refused_from_the_cache_too() -> None:
    async def check() -> tuple[list[bool], int]:
        key = generate_credential(KEY, build.PEPPER)
        database = FakeCredentialDatabase(key)
        verifier = verifier_of(database)
        wrong = f"{key.prefix}_{'A' * 43}"
        found = [await verifier.verify(text, KEY) for text in (text_of(key), wrong, text_of(key), wrong)]
        return [each is not None for each in found], database.queries

    assert ([True, False, True, False], 1) == asyncio.run(check())


def test_what_does_not_have_the_form_of_its_kind_costs_no_query() -> None:
    async def check() -> tuple[list[object], int]:
        database = FakeCredentialDatabase()
        verifier = verifier_of(database)
        texts = ["", "garbage", text_of(generate_credential(TOKEN, build.PEPPER)), f"pk_{'0' * 16}_{'A' * 42}"]
        return [await verifier.verify(text, KEY) for text in texts], database.queries

    assert ([None] * 4, 0) == asyncio.run(check())


def test_no_secret_is_kept_in_plain_text() -> None:
    async def check() -> bool:
        key = generate_credential(KEY, build.PEPPER)
        verifier = verifier_of(FakeCredentialDatabase(key))
        await verifier.verify(text_of(key), KEY)
        kept = repr([vars(each) for each in (verifier, verifier._credentials, verifier._uses)])
        return key.prefix in kept and text_of(key)[20:] not in kept

    assert asyncio.run(check())


def test_a_use_is_recorded_once_a_minute_and_all_at_the_end() -> None:
    async def check() -> list[list[bool]]:
        key = generate_credential(KEY, build.PEPPER)
        database, now = FakeCredentialDatabase(key), [0.0]
        verifier = verifier_of(database, lambda: now[0])
        for passed in (0.0, 1.0, USE_NOTED_EVERY.total_seconds() - 1.5, 1.0):
            now[0] += passed
            await verifier.verify(text_of(key), KEY)
        await verifier.close()
        return [[prefix == key.prefix for prefix in prefixes] for prefixes in database.recorded]

    assert [[True], [True]] == asyncio.run(check())


def test_neither_a_token_nor_an_expired_or_unproven_key_is_recorded() -> None:
    async def check() -> list[list[str]]:
        key, token = generate_credential(KEY, build.PEPPER), generate_credential(TOKEN, build.PEPPER)
        expired, good = FakeCredentialDatabase(key, is_expired=True), FakeCredentialDatabase(key, token)
        await verifier_of(expired).verify(text_of(key), KEY)
        verifier = verifier_of(good)
        await verifier.verify(f"{key.prefix}_{'A' * 43}", KEY)
        await verifier.verify(text_of(token), TOKEN)
        await verifier.close()
        return expired.recorded + good.recorded

    assert [] == asyncio.run(check())


def test_a_use_that_cannot_be_recorded_refuses_no_client() -> None:
    async def check() -> StoredCredential | None:
        key = generate_credential(KEY, build.PEPPER)
        database = FakeCredentialDatabase(key)
        database.is_away = True
        verifier = verifier_of(database)
        found = await verifier.verify(text_of(key), KEY)
        await verifier.close()
        return found

    assert asyncio.run(check())
