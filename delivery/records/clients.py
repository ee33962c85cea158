"""API clients and their credentials."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from delivery.credentials import Minted
from delivery.records.schema import Client, Credential
from delivery.vocabulary import CredentialKind, Scope


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """What is known of the credential with a certain prefix."""

    client_id: UUID
    scopes: frozenset[Scope]
    digest: bytes


def put(db: Connection, client_id: UUID, name: str, *, scopes: Iterable[Scope]) -> None:
    """Create or rename a client and set its scopes."""
    values = {"name": name, "scopes": [str(scope) for scope in scopes]}
    statement = upsert(Client).values(id=client_id, **values)
    db.execute(statement.on_conflict_do_update(index_elements=[Client.id], set_=values))


def exists(db: Connection, client_id: UUID) -> bool:
    """Say whether there is such a client."""
    return db.scalar(select(Client.id).where(Client.id == client_id)) is not None


def add_credentials(db: Connection, client_id: UUID, minted: Sequence[Minted]) -> None:
    """Store the prefixes and digests of fresh credentials."""
    db.execute(
        insert(Credential),
        [
            {"prefix": each.prefix, "client_id": client_id, "kind": str(each.kind), "digest": each.digest}
            for each in minted
        ],
    )


def find_credential(db: Connection, prefix: str, kind: CredentialKind) -> StoredCredential | None:
    """Find the credential of this prefix and kind; None when there is none or it was revoked."""
    row = db.execute(
        select(Credential.client_id, Credential.digest, Client.scopes)
        .join(Client, Client.id == Credential.client_id)
        .where(Credential.prefix == prefix, Credential.kind == str(kind), Credential.revoked_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    return StoredCredential(row.client_id, frozenset(map(Scope, row.scopes)), row.digest)
