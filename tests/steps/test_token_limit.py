"""A client has a limited number of access tokens, and issuing one costs the same however many there were."""

from datetime import timedelta

from delivery.credentials import generate_credential
from delivery.records.database import transaction
from delivery.records.identities import credentials
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind, Scope
from tests.support.credentials import minted
from tests.support.fixtures import Fixtures

KEY, TOKEN = CredentialKind.API_KEY, CredentialKind.ACCESS_TOKEN
DAY = timedelta(days=1)


def test_the_oldest_tokens_of_a_client_are_deleted_beyond_those_that_are_kept(
    fixtures: Fixtures, settings: Settings
) -> None:
    others = minted(fixtures, settings, TOKEN, client_id=fixtures.client(), lifetime=-2 * DAY)
    key = minted(fixtures, settings, KEY, lifetime=-2 * DAY)
    oldest, old, newer = (minted(fixtures, settings, TOKEN, lifetime=days * DAY) for days in (-2, -1, 1))

    with transaction(fixtures.database) as db:
        credentials.delete_oldest_tokens(db, fixtures.client_id, kept=2)

    kept = {row.prefix for row in fixtures.run_sql("SELECT prefix FROM credential")}
    assert {others.prefix, key.prefix, old.prefix, newer.prefix} == kept
    assert oldest.prefix not in kept


def test_issuing_tokens_reduces_what_an_earlier_version_left(fixtures: Fixtures, settings: Settings) -> None:
    fixtures.run_sql(
        """INSERT INTO credential (prefix, client_id, kind, digest, expires_at)
           SELECT 'at_' || n, client.id, 'access_token', '', clock_timestamp() + n * interval '1 s'
           FROM client, generate_series(1, 5000) AS n RETURNING prefix"""
    )

    counts = []
    for _ in range(4):
        fresh = generate_credential(TOKEN, settings.pepper)
        with transaction(fixtures.database) as db:
            credentials.issue_token(db, fixtures.client_id, fresh, scopes=[Scope.MESSAGE_SEND], lifetime=DAY)
        counts.append(fixtures.run_sql("SELECT count(*) AS n FROM credential")[0].n)

    assert [3001, 1002, 500, 500] == counts
