"""The life of credentials in the database."""

from datetime import timedelta
from typing import Any

import pytest

from delivery.credentials import NewCredential, generate_credential
from delivery.records.database import transaction
from delivery.records.identities import clients, credentials
from delivery.records.identities.credentials import NotRotated
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind, Scope
from tests.support.credentials import PAST, minted
from tests.support.fixtures import Book

KEY, SECRET, TOKEN = CredentialKind.API_KEY, CredentialKind.CLIENT_SECRET, CredentialKind.ACCESS_TOKEN
DAY = timedelta(days=1)


def find(book: Book, credential: NewCredential, kind: CredentialKind = KEY) -> clients.StoredCredential | None:
    """Look a credential up."""
    with transaction(book.database) as db:
        return clients.find_credential(db, credential.prefix, kind)


def rotate(book: Book, settings: Settings, **chosen: Any) -> NewCredential:
    """Rotate the API keys of the book's client."""
    fresh = generate_credential(KEY, settings.pepper)
    with transaction(book.database) as db:
        credentials.rotate(db, book.client_id, fresh, **{"overlap": DAY, **chosen})
    return fresh


def column(book: Book, credential: NewCredential, expression: str) -> Any:
    """Ask one thing about a credential."""
    return book.ask(f"SELECT {expression} FROM credential WHERE prefix = :prefix", prefix=credential.prefix)[0][0]


def test_a_client_has_several_keys_at_once(book: Book, settings: Settings) -> None:
    first, second = minted(book, settings), minted(book, settings)

    assert {first.digest, second.digest} == {find(book, each).digest for each in (first, second)}  # type: ignore[union-attr] # they are there


@pytest.mark.parametrize("kind", [SECRET, TOKEN])
def test_a_credential_is_not_found_as_one_of_another_kind(book: Book, settings: Settings, kind: CredentialKind) -> None:
    assert None is find(book, minted(book, settings), kind)


def test_an_expired_key_is_not_found_but_known_to_be_expired(book: Book, settings: Settings) -> None:
    expired = minted(book, settings, lifetime=PAST)

    assert None is find(book, expired)
    with transaction(book.database) as db:
        assert clients.find_credentials(db, [(expired.prefix, KEY)])[expired.prefix, KEY].is_expired


def test_a_key_may_do_what_both_it_and_its_client_may(book: Book, settings: Settings) -> None:
    client_id = book.client(scopes=[Scope.MESSAGE_SEND, Scope.MESSAGE_READ])
    narrow = minted(book, settings, client_id=client_id, scopes=[Scope.MESSAGE_READ, Scope.OPS_READ])
    wide = minted(book, settings, client_id=client_id)

    found = [find(book, narrow), find(book, wide)]

    assert [{Scope.MESSAGE_READ}, {Scope.MESSAGE_SEND, Scope.MESSAGE_READ}] == [each.scopes for each in found if each]


def test_a_scope_of_a_later_version_means_nothing_and_breaks_nothing(book: Book, settings: Settings) -> None:
    key = minted(book, settings)
    book.ask("UPDATE client SET scopes = '{message.send,message.forward}'")

    found = find(book, key)

    assert found is not None
    assert {Scope.MESSAGE_SEND} == found.scopes


def test_rotation_gives_a_new_key_at_once_and_ends_the_old_one_after_the_overlap(
    book: Book, settings: Settings
) -> None:
    old, secret = minted(book, settings, scopes=[Scope.MESSAGE_SEND]), minted(book, settings, SECRET)

    new = rotate(book, settings)

    found = find(book, new)
    assert found is not None
    assert {Scope.MESSAGE_SEND} == found.scopes
    assert find(book, old)
    soon = "expires_at BETWEEN clock_timestamp() + INTERVAL '23:59' AND clock_timestamp() + INTERVAL '24:01'"
    assert [True, None, None] == [column(book, each, soon) for each in (old, new, secret)]


def test_rotation_without_an_overlap_ends_the_old_key_at_once(book: Book, settings: Settings) -> None:
    old = minted(book, settings)

    new = rotate(book, settings, overlap=timedelta(0))

    assert (None, True) == (find(book, old), find(book, new) is not None)


def test_rotation_never_lengthens_the_life_of_a_key(book: Book, settings: Settings) -> None:
    old = minted(book, settings, lifetime=timedelta(hours=1))

    rotate(book, settings)

    assert column(book, old, "expires_at < clock_timestamp() + INTERVAL '2 hours'")


def test_keys_that_may_do_different_things_are_not_rotated_into_one(book: Book, settings: Settings) -> None:
    minted(book, settings, scopes=[Scope.MESSAGE_SEND])
    minted(book, settings)

    with pytest.raises(NotRotated):
        rotate(book, settings)
    assert 2 == book.count("credential")


def test_a_client_without_a_live_key_has_none_to_rotate(book: Book, settings: Settings) -> None:
    minted(book, settings, lifetime=PAST)
    minted(book, settings, SECRET)

    with pytest.raises(NotRotated):
        rotate(book, settings)


def test_a_revoked_key_is_not_found_and_is_revoked_only_once(book: Book, settings: Settings) -> None:
    key, other = minted(book, settings), minted(book, settings)

    with transaction(book.database) as db:
        answers = [
            credentials.revoke(db, key.prefix),
            credentials.revoke(db, key.prefix),
            credentials.revoke(db, "pk_0000000000000000"),
        ]

    assert [True, False, False] == answers
    assert (None, True) == (find(book, key), find(book, other) is not None)


def test_all_that_a_client_has_is_revoked_and_nothing_of_others(book: Book, settings: Settings) -> None:
    mine = [minted(book, settings, kind) for kind in (KEY, SECRET, TOKEN)]
    others = minted(book, settings, client_id=book.client())

    with transaction(book.database) as db:
        assert 3 == credentials.revoke_all(db, book.client_id)

    assert [None] * 3 == [find(book, each, each.kind) for each in mine]
    assert find(book, others)


def test_use_is_noted_once_a_minute(book: Book, settings: Settings) -> None:
    key, unused = minted(book, settings), minted(book, settings)

    def note() -> Any:
        with transaction(book.database) as db:
            credentials.note_use(db, [key.prefix])
        return column(book, key, "last_used_at")

    first, second = note(), note()
    book.ask("UPDATE credential SET last_used_at = last_used_at - INTERVAL '61 s'")

    assert first is not None
    assert first == second
    assert first < note()
    assert None is column(book, unused, "last_used_at")


def test_noting_use_waits_for_nobody(book: Book, settings: Settings) -> None:
    key = minted(book, settings)

    with transaction(book.database) as other, transaction(book.database) as db:
        credentials.note_use(other, [key.prefix])
        credentials.note_use(db, [key.prefix])

    assert column(book, key, "last_used_at")


def test_a_new_token_makes_those_forgotten_that_expired_more_than_a_day_ago(book: Book, settings: Settings) -> None:
    others = minted(book, settings, TOKEN, client_id=book.client(), lifetime=-2 * DAY)
    long_past = minted(book, settings, TOKEN, lifetime=-2 * DAY)
    old_key = minted(book, settings, KEY, lifetime=-2 * DAY)
    past = minted(book, settings, TOKEN, lifetime=PAST)
    fresh = generate_credential(TOKEN, settings.pepper)

    with transaction(book.database) as db:
        credentials.issue_token(db, book.client_id, fresh, scopes=[Scope.MESSAGE_SEND], lifetime=DAY)

    left = {row.prefix for row in book.ask("SELECT prefix FROM credential")}
    assert {others.prefix, old_key.prefix, past.prefix, fresh.prefix} == left
    assert long_past.prefix not in left


def test_a_foreign_name_stands_for_the_one_client_that_has_it(book: Book, settings: Settings) -> None:
    shut_out = book.client()
    minted(book, settings, client_id=shut_out)
    with transaction(book.database) as db:
        for number in (0, 1):
            clients.put(db, book.client(), f"shop {number}", scopes=[Scope.MESSAGE_SEND])
        clients.put(db, book.client(), "twin", scopes=[])
        clients.put(db, book.client(), "twin", scopes=[])
        credentials.revoke_all(db, shut_out)

        called = ["shop 1", "twin", "nobody", str(book.client_id).upper(), str(shut_out)]
        found = clients.find_clients(db, called)

    assert {"shop 1", str(book.client_id).upper()} == set(found)
    assert {Scope.MESSAGE_SEND} == found["shop 1"].scopes


def test_a_client_with_one_key_left_is_not_shut_out(book: Book, settings: Settings) -> None:
    first, _ = minted(book, settings), minted(book, settings)

    with transaction(book.database) as db:
        credentials.revoke(db, first.prefix)
        assert str(book.client_id) in clients.find_clients(db, [str(book.client_id)])


def test_the_overview_shows_clients_with_their_keys_and_only_the_number_of_tokens(
    book: Book, settings: Settings
) -> None:
    key, expired = minted(book, settings), minted(book, settings, SECRET, lifetime=PAST)
    minted(book, settings, TOKEN, lifetime=DAY)
    minted(book, settings, TOKEN, lifetime=PAST)

    with transaction(book.database) as db:
        (client,) = credentials.overview(db)

    assert (book.client_id, "a client", 1) == (client.client_id, client.name, client.live_tokens)
    assert [(key.prefix, True), (expired.prefix, False)] == [(k.prefix, k.is_alive) for k in client.credentials]


def test_what_a_secret_has_opened_ends_with_it(book: Book, settings: Settings) -> None:
    secret, token, key = (minted(book, settings, kind) for kind in (SECRET, TOKEN, KEY))
    foreign = minted(book, settings, TOKEN, client_id=book.client())

    with transaction(book.database) as db:
        assert credentials.revoke(db, secret.prefix)

    assert None is find(book, token, TOKEN)
    assert find(book, key)
    assert find(book, foreign, TOKEN)


def test_rotating_a_secret_ends_its_tokens_with_the_overlap(book: Book, settings: Settings) -> None:
    minted(book, settings, SECRET)
    token = minted(book, settings, TOKEN, lifetime=DAY)

    with transaction(book.database) as db:
        credentials.rotate(db, book.client_id, generate_credential(SECRET, settings.pepper), overlap=timedelta())

    assert None is find(book, token, TOKEN)
