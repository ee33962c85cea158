"""What the corpus runs against: clients with credentials of every kind, accounts of every kind, and messages."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.records.identities.accounts import AccountFacts
from delivery.records.identities.clients import RateLimits
from delivery.settings import Settings
from delivery.vocabulary import AccountStatus, Channel, CredentialKind, Scope
from tests.corpus.cases import Values
from tests.support.api_server import open_door
from tests.support.credentials import PAST, minted, text_of
from tests.support.fixtures import Fixtures

_UNLIMITED = {"requests_per_minute": 1_000_000, "recipients_per_minute": 1_000_000}
_TABLES = ("message", "recipient", "inbox_letter", "account", "preference")


@dataclass(frozen=True, slots=True)
class CorpusEnvironment:
    """A running API, its database, and the values that stand for names in the corpus."""

    port: int
    fixtures: Fixtures
    values: Values

    def counts(self) -> dict[str, int]:
        """Count the rows of every table that a request may change."""
        columns = ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in _TABLES)
        (row,) = self.fixtures.run_sql(f"SELECT {columns}")
        return dict(row._mapping)


@contextmanager
def prepare_environment(settings: Settings, fixtures: Fixtures) -> Iterator[CorpusEnvironment]:
    """Start an API without limits on an empty database, and create everything that the corpus names."""
    values = {**_credentials(fixtures, settings), **_accounts(fixtures), **_messages(fixtures)}
    with open_door(settings.model_copy(update=_UNLIMITED)) as client:
        port = client.base_url.port
        assert port is not None
        yield CorpusEnvironment(port, fixtures, values)


def _credentials(fixtures: Fixtures, settings: Settings) -> dict[str, str]:
    def make(kind: CredentialKind = CredentialKind.API_KEY, **chosen: object) -> str:
        return text_of(minted(fixtures, settings, kind, **chosen))

    token, expired = CredentialKind.ACCESS_TOKEN, PAST
    other, limited = fixtures.client(), fixtures.client()
    with transaction(fixtures.database) as db:
        clients.put(db, limited, "limited", scopes=list(Scope), limits=RateLimits(None, 1))
    revoked = minted(fixtures, settings)
    fixtures.run_sql(
        "UPDATE credential SET revoked_at = clock_timestamp() WHERE prefix = :prefix", prefix=revoked.prefix
    )
    soon = timedelta(hours=1)
    secret = make(CredentialKind.CLIENT_SECRET)
    return {
        "basic": base64.b64encode(f"{fixtures.client_id}:{secret}".encode()).decode(),
        "key": make(),
        "second_key": make(),
        "reader_key": make(scopes=[Scope.MESSAGE_READ]),
        "sender_key": make(scopes=[Scope.MESSAGE_SEND]),
        "revoked_key": text_of(revoked),
        "expired_key": make(lifetime=expired),
        "other_key": make(client_id=other),
        "limited_key": make(client_id=limited),
        "token": make(token, lifetime=soon),
        "reader_token": make(token, scopes=[Scope.MESSAGE_READ], lifetime=soon),
        "expired_token": make(token, lifetime=expired),
        "client_id": str(fixtures.client_id),
        "other_client_id": str(other),
        "client_secret": secret,
        "expired_secret": make(CredentialKind.CLIENT_SECRET, lifetime=expired),
    }


def _accounts(fixtures: Fixtures) -> dict[str, str]:
    closed, suspended = (str(fixtures.account(status=each)) for each in (AccountStatus.CLOSED, AccountStatus.SUSPENDED))
    many = [str(each) for each in fixtures.accounts(26)]
    unknown = str(uuid7())
    return {
        "inbox": many[0],
        "second": many[1],
        "INBOX": many[0].upper(),
        "email": str(fixtures.account(Channel.EMAIL)),
        "closed": closed,
        "suspended": suspended,
        "unknown": unknown,
        "UNKNOWN": unknown.upper(),
        "list25": ",".join(f'"{each}"' for each in many[:25]),
        "list26": ",".join(f'"{each}"' for each in many),
        "form25": "&".join(f"recipient_uuids[{i}]={each}" for i, each in enumerate(many[:25])),
        "form26": "&".join(f"recipient_uuids={each}" for each in many),
        "text": '"sender_name":"Zanzibar","subject":"Zanzibar","body":"Zanzibar"',
        "form": "sender_name=Zanzibar&subject=Zanzibar&body=Zanzibar",
    }


def _messages(fixtures: Fixtures) -> dict[str, str]:
    account_id: UUID = uuid7()
    fixtures.put(AccountFacts(account_id, "Reader", "reader@example.com"))
    messages = [str(fixtures.message(account_id)) for _ in range(3)]
    foreign = Fixtures(fixtures.database).message(account_id)
    return {
        "message": messages[0],
        "others_message": str(foreign),
        "reader": str(account_id),
        "MESSAGE": messages[0].upper(),
    }
