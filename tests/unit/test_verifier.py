"""The keyring: what is kept of a credential opens nothing by itself, and uses are noted beside the requests."""

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
    """Knows some credentials, and counts what it is asked."""

    def __init__(self, *known: NewCredential, is_expired: bool = False) -> None:
        self.known = {(each.prefix, each.kind): stored(each, is_expired=is_expired) for each in known}
        self.queries = 0
        self.noted: list[list[str]] = []
        self.is_away = False

    async def run(self, question: Callable[..., Any], values: list[Any]) -> Any:
        """Do what the database does."""
        if question is record_use:
            self.noted.append(values)
            if self.is_away:
                raise AWAY
            return None
        self.queries += 1
        return {key: self.known[key] for key in values if key in self.known}


def stored(minted: NewCredential, *, is_expired: bool) -> StoredCredential:
    """Make what is stored of a credential."""
    scopes = frozenset({Scope.MESSAGE_SEND})
    return StoredCredential(build.CLIENT_ID, scopes, digest=minted.digest, is_expired=is_expired)


def keyring_of(database: FakeCredentialDatabase, clock: Callable[[], float] = lambda: 0.0) -> CredentialVerifier:
    """Make a keyring over this database."""
    return CredentialVerifier(cast(AsyncDatabase, database), build.PEPPER, clock)


def text_of(minted: NewCredential) -> str:
    """Give what a client shows."""
    return minted.text.get_secret_value()


def test_a_busy_key_costs_one_query_and_a_wrong_secret_is_refused_from_memory_too() -> None:
    async def scene() -> tuple[list[bool], int]:
        key = generate_credential(KEY, build.PEPPER)
        database = FakeCredentialDatabase(key)
        verifier = keyring_of(database)
        wrong = f"{key.prefix}_{'A' * 43}"
        found = [await verifier.verify(text, KEY) for text in (text_of(key), wrong, text_of(key), wrong)]
        return [each is not None for each in found], database.queries

    assert ([True, False, True, False], 1) == asyncio.run(scene())


def test_what_has_not_the_form_of_its_kind_costs_no_query() -> None:
    async def scene() -> tuple[list[object], int]:
        database = FakeCredentialDatabase()
        verifier = keyring_of(database)
        shown = ["", "garbage", text_of(generate_credential(TOKEN, build.PEPPER)), f"pk_{'0' * 16}_{'A' * 42}"]
        return [await verifier.verify(text, KEY) for text in shown], database.queries

    assert ([None] * 4, 0) == asyncio.run(scene())


def test_no_secret_is_kept_in_the_clear() -> None:
    async def scene() -> bool:
        key = generate_credential(KEY, build.PEPPER)
        verifier = keyring_of(FakeCredentialDatabase(key))
        await verifier.verify(text_of(key), KEY)
        kept = repr([vars(each) for each in (verifier, verifier._credentials, verifier._uses)])
        return key.prefix in kept and text_of(key)[20:] not in kept

    assert asyncio.run(scene())


def test_a_use_is_noted_once_a_minute_and_all_at_the_end() -> None:
    async def scene() -> list[list[bool]]:
        key = generate_credential(KEY, build.PEPPER)
        database, now = FakeCredentialDatabase(key), [0.0]
        verifier = keyring_of(database, lambda: now[0])
        for passed in (0.0, 1.0, USE_NOTED_EVERY.total_seconds() - 1.5, 1.0):
            now[0] += passed
            await verifier.verify(text_of(key), KEY)
        await verifier.close()
        return [[prefix == key.prefix for prefix in prefixes] for prefixes in database.noted]

    assert [[True], [True]] == asyncio.run(scene())


def test_neither_a_token_nor_an_expired_or_unproven_key_is_noted() -> None:
    async def scene() -> list[list[str]]:
        key, token = generate_credential(KEY, build.PEPPER), generate_credential(TOKEN, build.PEPPER)
        expired, good = FakeCredentialDatabase(key, is_expired=True), FakeCredentialDatabase(key, token)
        await keyring_of(expired).verify(text_of(key), KEY)
        verifier = keyring_of(good)
        await verifier.verify(f"{key.prefix}_{'A' * 43}", KEY)
        await verifier.verify(text_of(token), TOKEN)
        await verifier.close()
        return expired.noted + good.noted

    assert [] == asyncio.run(scene())


def test_a_use_that_cannot_be_noted_keeps_nobody_out() -> None:
    async def scene() -> StoredCredential | None:
        key = generate_credential(KEY, build.PEPPER)
        database = FakeCredentialDatabase(key)
        database.is_away = True
        verifier = keyring_of(database)
        found = await verifier.verify(text_of(key), KEY)
        await verifier.close()
        return found

    assert asyncio.run(scene())
