"""Requests to the API, as a client with an API key sends them."""

from uuid import UUID

import httpx2

from delivery.settings import Settings
from tests.support import build
from tests.support.fixtures import Fixtures
from tests.support.seed import add_credential

Headers = dict[str, str]


def post(
    http: httpx2.Client, key: Headers, *account_ids: UUID, prefix: str = "", prefer: str = "", **chosen: object
) -> httpx2.Response:
    """Send a message to these accounts; the other fields have defaults."""
    fields = build.fields(recipient_uuids=[str(each) for each in account_ids], **chosen)
    return http.post(f"{prefix}/messages", json=fields, headers={**key, **({"Prefer": prefer} if prefer else {})})


def status_of(answer: httpx2.Response) -> tuple[str, str]:
    """Return the status and its reason from a response."""
    meta = answer.json()["meta"]
    return meta["status"], meta["status_reason"]


def key_of(fixtures: Fixtures, settings: Settings, client_id: UUID) -> Headers:
    """Store an API key of a client, and return the header that carries it."""
    credential = add_credential(fixtures.database, client_id, settings.pepper)
    return {"X-Proz-API-Key": credential.text.get_secret_value()}
