"""Seed data of tests, trials and benchmarks: clients, credentials, accounts, and settings as an environment."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from delivery.credentials import NewCredential, generate_credential, generate_signing_key
from delivery.records.database import Database, transaction
from delivery.records.identities import accounts, clients
from delivery.records.identities.accounts import AccountFacts
from delivery.settings import environment_name
from delivery.vocabulary import CredentialKind, Scope

_PLENTY = 1_000_000_000
WITHOUT_LIMITS: Mapping[str, Any] = {
    "requests_per_minute": _PLENTY,
    "recipients_per_minute": _PLENTY,
    "mails_per_address_per_hour": 0,
    "messages_per_account_per_hour": 0,
}
_ACCOUNTS_AT_ONCE = 1000


def environment_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables that set these fields of `Settings`. None is no variable."""
    return {environment_name(name): _text_of(value) for name, value in settings.items() if value is not None}


def _text_of(value: Any) -> str:
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)


def add_client(database: Database, client_id: UUID, *, scopes: Sequence[Scope] = tuple(Scope)) -> None:
    """Store a client."""
    with transaction(database) as db:
        clients.put(db, client_id, "a client", scopes=scopes)


def add_credential(
    database: Database,
    client_id: UUID,
    pepper: SecretStr,
    kind: CredentialKind = CredentialKind.API_KEY,
    **chosen: Any,
) -> NewCredential:
    """Store a fresh credential of a client with these `scopes` and `lifetime`; with `sealing_key` a signing key."""
    sealing_key: SecretStr | None = chosen.pop("sealing_key", None)
    fresh = generate_signing_key(pepper, sealing_key) if sealing_key else generate_credential(kind, pepper)
    with transaction(database) as db:
        clients.add_credentials(db, client_id, [fresh], **chosen)
    return fresh


def add_accounts(database: Database, facts: Sequence[AccountFacts]) -> None:
    """Store accounts, a thousand in a transaction."""
    for start in range(0, len(facts), _ACCOUNTS_AT_ONCE):
        with transaction(database) as db:
            accounts.put(db, facts[start : start + _ACCOUNTS_AT_ONCE])
