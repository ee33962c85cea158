"""Credentials are issued, rotated, used, expired and revoked in the database."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from delivery.credentials import NewCredential, generate_credential
from delivery.records.database import transaction
from delivery.records.identities import clients, credentials, issuer_links
from delivery.records.identities.credentials import NotRotated
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind, Scope
from tests.support.credentials import PAST, minted
from tests.support.fixtures import Fixtures

KEY, SECRET, TOKEN = CredentialKind.API_KEY, CredentialKind.CLIENT_SECRET, CredentialKind.ACCESS_TOKEN
DAY = timedelta(days=1)


def find(fixtures: Fixtures, credential: NewCredential, kind: CredentialKind = KEY) -> clients.StoredCredential | None:
    """Return a credential as it is stored, if it is valid."""
    with transaction(fixtures.database) as db:
        return clients.find_credential(db, credential.prefix, kind)


def rotate(fixtures: Fixtures, settings: Settings, **chosen: Any) -> NewCredential:
    """Rotate the API keys of the client of this test."""
    fresh = generate_credential(KEY, settings.pepper)
    with transaction(fixtures.database) as db:
        credentials.rotate(db, fixtures.client_id, fresh, **{"overlap": DAY, **chosen})
    return fresh


def column(fixtures: Fixtures, credential: NewCredential, expression: str) -> Any:
    """Return the value of an SQL expression on the row of a credential."""
    return fixtures.run_sql(f"SELECT {expression} FROM credential WHERE prefix = :prefix", prefix=credential.prefix)[0][
        0
    ]


def test_a_client_has_several_keys_at_once(fixtures: Fixtures, settings: Settings) -> None:
    first, second = minted(fixtures, settings), minted(fixtures, settings)

    assert {first.digest, second.digest} == {find(fixtures, each).digest for each in (first, second)}  # type: ignore[union-attr] # they are there


@pytest.mark.parametrize("kind", [SECRET, TOKEN])
def test_a_credential_is_not_found_as_one_of_another_kind(
    fixtures: Fixtures, settings: Settings, kind: CredentialKind
) -> None:
    assert None is find(fixtures, minted(fixtures, settings), kind)


def test_an_expired_key_is_not_found_but_reported_as_expired(fixtures: Fixtures, settings: Settings) -> None:
    expired = minted(fixtures, settings, lifetime=PAST)

    assert None is find(fixtures, expired)
    with transaction(fixtures.database) as db:
        assert clients.find_credentials(db, [(expired.prefix, KEY)])[expired.prefix, KEY].is_expired


def test_a_key_has_only_scopes_that_its_client_has_too(fixtures: Fixtures, settings: Settings) -> None:
    client_id = fixtures.client(scopes=[Scope.MESSAGE_SEND, Scope.MESSAGE_READ])
    narrow = minted(fixtures, settings, client_id=client_id, scopes=[Scope.MESSAGE_READ, Scope.OPS_READ])
    wide = minted(fixtures, settings, client_id=client_id)

    found = [find(fixtures, narrow), find(fixtures, wide)]

    assert [{Scope.MESSAGE_READ}, {Scope.MESSAGE_SEND, Scope.MESSAGE_READ}] == [each.scopes for each in found if each]


def test_a_scope_of_a_later_version_is_ignored(fixtures: Fixtures, settings: Settings) -> None:
    key = minted(fixtures, settings)
    fixtures.run_sql("UPDATE client SET scopes = '{message.send,message.forward}'")

    found = find(fixtures, key)

    assert found is not None
    assert {Scope.MESSAGE_SEND} == found.scopes


def test_rotation_makes_a_new_key_at_once_and_expires_the_old_one_after_the_overlap(
    fixtures: Fixtures, settings: Settings
) -> None:
    old, secret = minted(fixtures, settings, scopes=[Scope.MESSAGE_SEND]), minted(fixtures, settings, SECRET)

    new = rotate(fixtures, settings)

    found = find(fixtures, new)
    assert found is not None
    assert {Scope.MESSAGE_SEND} == found.scopes
    assert find(fixtures, old)
    soon = "expires_at BETWEEN clock_timestamp() + INTERVAL '23:59' AND clock_timestamp() + INTERVAL '24:01'"
    assert [True, None, None] == [column(fixtures, each, soon) for each in (old, new, secret)]


def test_rotation_without_an_overlap_expires_the_old_key_at_once(fixtures: Fixtures, settings: Settings) -> None:
    old = minted(fixtures, settings)

    new = rotate(fixtures, settings, overlap=timedelta(0))

    assert (None, True) == (find(fixtures, old), find(fixtures, new) is not None)


def test_rotation_never_extends_the_lifetime_of_a_key(fixtures: Fixtures, settings: Settings) -> None:
    old = minted(fixtures, settings, lifetime=timedelta(hours=1))

    rotate(fixtures, settings)

    assert column(fixtures, old, "expires_at < clock_timestamp() + INTERVAL '2 hours'")


def test_keys_with_different_scopes_are_not_rotated_into_one(fixtures: Fixtures, settings: Settings) -> None:
    minted(fixtures, settings, scopes=[Scope.MESSAGE_SEND])
    minted(fixtures, settings)

    with pytest.raises(NotRotated):
        rotate(fixtures, settings)
    assert 2 == fixtures.count("credential")


def test_a_client_without_a_valid_key_cannot_rotate(fixtures: Fixtures, settings: Settings) -> None:
    minted(fixtures, settings, lifetime=PAST)
    minted(fixtures, settings, SECRET)

    with pytest.raises(NotRotated):
        rotate(fixtures, settings)


def test_a_revoked_key_is_not_found_and_is_revoked_only_once(fixtures: Fixtures, settings: Settings) -> None:
    key, other = minted(fixtures, settings), minted(fixtures, settings)

    with transaction(fixtures.database) as db:
        results = [
            credentials.revoke(db, key.prefix),
            credentials.revoke(db, key.prefix),
            credentials.revoke(db, "pk_0000000000000000"),
        ]

    assert [True, False, False] == results
    assert (None, True) == (find(fixtures, key), find(fixtures, other) is not None)


def test_all_credentials_of_a_client_are_revoked_and_none_of_other_clients(
    fixtures: Fixtures, settings: Settings
) -> None:
    own = [minted(fixtures, settings, kind) for kind in (KEY, SECRET, TOKEN)]
    others = minted(fixtures, settings, client_id=fixtures.client())

    with transaction(fixtures.database) as db:
        assert 3 == credentials.revoke_all(db, fixtures.client_id)

    assert [None] * 3 == [find(fixtures, each, each.kind) for each in own]
    assert find(fixtures, others)


def test_use_is_recorded_once_a_minute(fixtures: Fixtures, settings: Settings) -> None:
    key, unused = minted(fixtures, settings), minted(fixtures, settings)

    def record_use() -> Any:
        with transaction(fixtures.database) as db:
            credentials.record_use(db, [key.prefix])
        return column(fixtures, key, "last_used_at")

    first, second = record_use(), record_use()
    fixtures.run_sql("UPDATE credential SET last_used_at = last_used_at - INTERVAL '61 s'")

    assert first is not None
    assert first == second
    assert first < record_use()
    assert None is column(fixtures, unused, "last_used_at")


def test_recording_use_waits_for_no_other_transaction(fixtures: Fixtures, settings: Settings) -> None:
    key = minted(fixtures, settings)

    with transaction(fixtures.database) as other, transaction(fixtures.database) as db:
        credentials.record_use(other, [key.prefix])
        credentials.record_use(db, [key.prefix])

    assert column(fixtures, key, "last_used_at")


def test_a_client_is_found_by_the_ids_that_it_is_linked_to_and_by_nothing_else(
    fixtures: Fixtures, settings: Settings
) -> None:
    revoked_client, shop, entra = fixtures.client(), fixtures.client(scopes=[Scope.MESSAGE_SEND]), str(uuid4())
    key = minted(fixtures, settings, client_id=revoked_client)
    with transaction(fixtures.database) as db:
        clients.put(db, fixtures.client_id, "named", scopes=[])
        for client_id, name in ((shop, "shop-1"), (shop, entra.upper()), (revoked_client, "revoked")):
            issuer_links.link(db, client_id, name)
        credentials.revoke(db, key.prefix)

        names = ["shop-1", "SHOP-1", entra, "named", str(fixtures.client_id), "revoked", "unknown"]
        found = clients.find_clients(db, names)

    assert {"shop-1", entra} == set(found)
    assert (shop, frozenset({Scope.MESSAGE_SEND})) == (found["shop-1"].client_id, found["shop-1"].scopes)


def test_a_client_with_one_valid_key_is_still_found(fixtures: Fixtures, settings: Settings) -> None:
    first, _ = minted(fixtures, settings), minted(fixtures, settings)

    with transaction(fixtures.database) as db:
        issuer_links.link(db, fixtures.client_id, "shop")
        credentials.revoke(db, first.prefix)
        assert "shop" in clients.find_clients(db, ["shop"])


def test_an_id_at_the_issuer_belongs_to_one_client_until_it_is_unlinked(fixtures: Fixtures) -> None:
    second = fixtures.client()

    with transaction(fixtures.database) as db:
        issuer_links.link(db, fixtures.client_id, "shop")
        issuer_links.link(db, fixtures.client_id, "shop")
        with pytest.raises(issuer_links.LinkedElsewhere, match=str(fixtures.client_id)):
            issuer_links.link(db, second, "shop")

        assert (0, 1) == (issuer_links.unlink(db, second), issuer_links.unlink(db, fixtures.client_id, "shop"))
        issuer_links.link(db, second, "shop")
        assert {second: ["shop"]} == issuer_links.links_by_client(db)


def test_revoking_all_of_a_client_ends_its_links(fixtures: Fixtures) -> None:
    with transaction(fixtures.database) as db:
        issuer_links.link(db, fixtures.client_id, "shop")
        credentials.revoke_all(db, fixtures.client_id)

        assert {} == clients.find_clients(db, ["shop"])


def test_the_overview_lists_keys_of_a_client_and_only_counts_its_tokens(fixtures: Fixtures, settings: Settings) -> None:
    key, expired = minted(fixtures, settings), minted(fixtures, settings, SECRET, lifetime=PAST)
    minted(fixtures, settings, TOKEN, lifetime=DAY)
    minted(fixtures, settings, TOKEN, lifetime=PAST)

    with transaction(fixtures.database) as db:
        (client,) = credentials.overview(db)

    assert (fixtures.client_id, "a client", 1) == (client.client_id, client.name, client.live_tokens)
    assert [(key.prefix, True), (expired.prefix, False)] == [(k.prefix, k.is_alive) for k in client.credentials]


def test_revoking_a_secret_ends_the_tokens_that_it_issued(fixtures: Fixtures, settings: Settings) -> None:
    secret, token, key = (minted(fixtures, settings, kind) for kind in (SECRET, TOKEN, KEY))
    foreign = minted(fixtures, settings, TOKEN, client_id=fixtures.client())

    with transaction(fixtures.database) as db:
        assert credentials.revoke(db, secret.prefix)

    assert None is find(fixtures, token, TOKEN)
    assert find(fixtures, key)
    assert find(fixtures, foreign, TOKEN)


def test_rotating_a_secret_ends_its_tokens_after_the_overlap(fixtures: Fixtures, settings: Settings) -> None:
    minted(fixtures, settings, SECRET)
    token = minted(fixtures, settings, TOKEN, lifetime=DAY)

    with transaction(fixtures.database) as db:
        credentials.rotate(db, fixtures.client_id, generate_credential(SECRET, settings.pepper), overlap=timedelta())

    assert None is find(fixtures, token, TOKEN)
