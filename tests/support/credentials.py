"""Credentials of a client as tests need them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from delivery.credentials import NewCredential, generate_credential
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind
from tests.support.fixtures import Fixtures

PAST = timedelta(hours=-1)


def minted(
    fixtures: Fixtures, settings: Settings, kind: CredentialKind = CredentialKind.API_KEY, **chosen: Any
) -> NewCredential:
    """Give the client of the book, or the one chosen here, a credential."""
    client_id: UUID = chosen.pop("client_id", fixtures.client_id)
    fresh = generate_credential(kind, settings.pepper)
    with transaction(fixtures.database) as db:
        clients.add_credentials(db, client_id, [fresh], **chosen)
    return fresh


def text_of(credential: NewCredential) -> str:
    """Give what its client shows."""
    return credential.text.get_secret_value()
