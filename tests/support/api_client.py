"""Sending to a door, as a client with an API key does."""

from uuid import UUID

import httpx2

from delivery.credentials import generate_credential
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind
from tests.support import build
from tests.support.fixtures import Fixtures

Headers = dict[str, str]


def post(
    http: httpx2.Client, key: Headers, *account_ids: UUID, prefix: str = "", prefer: str = "", **chosen: object
) -> httpx2.Response:
    """Send a message to these accounts; the rest of it is dull unless chosen."""
    fields = build.fields(recipient_uuids=[str(each) for each in account_ids], **chosen)
    return http.post(f"{prefix}/messages", json=fields, headers={**key, **({"Prefer": prefer} if prefer else {})})


def status_of(answer: httpx2.Response) -> tuple[str, str]:
    """Read status and reason of an answer."""
    meta = answer.json()["meta"]
    return meta["status"], meta["status_reason"]


def key_of(fixtures: Fixtures, settings: Settings, client_id: UUID) -> Headers:
    """Make a client an API key."""
    minted = generate_credential(CredentialKind.API_KEY, settings.pepper)
    with transaction(fixtures.database) as db:
        clients.add_credentials(db, client_id, [minted])
    return {"X-Proz-API-Key": minted.text.get_secret_value()}
