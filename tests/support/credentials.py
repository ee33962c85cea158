"""Credentials of clients in the fixtures."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from delivery.credentials import NewCredential
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind
from tests.support.fixtures import Fixtures
from tests.support.seed import add_credential

PAST = timedelta(hours=-1)


def minted(
    fixtures: Fixtures, settings: Settings, kind: CredentialKind = CredentialKind.API_KEY, **chosen: Any
) -> NewCredential:
    """Store a credential of the client of the fixtures, or of the `client_id` chosen here."""
    client_id: UUID = chosen.pop("client_id", fixtures.client_id)
    return add_credential(fixtures.database, client_id, settings.pepper, kind, **chosen)


def text_of(credential: NewCredential) -> str:
    """Return the text that its client sends."""
    return credential.text.get_secret_value()
