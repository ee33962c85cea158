"""Clients: their scopes and limits, and how to find one by its credential, id, name or id at the issuer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Row, false, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from delivery.credentials import NewCredential
from delivery.intake.uuids import read_uuid
from delivery.records.client_tables import IssuerLink
from delivery.records.schema import Client, Credential
from delivery.vocabulary import CredentialKind, Scope, Trust

# The database's clock decides this, because the clocks of our processes may differ.
_IS_EXPIRED = func.coalesce(Credential.expires_at <= func.clock_timestamp(), false())
# A client that has keys or secrets, all of them revoked, is refused, whatever tokens the trusted issuer gives it.
_HTTP_KINDS = (str(CredentialKind.API_KEY), str(CredentialKind.CLIENT_SECRET))
_IS_SHUT_OUT = (
    select(func.coalesce(func.bool_and(Credential.revoked_at.is_not(None)), false()))
    .where(Credential.client_id == Client.id, Credential.kind.in_(_HTTP_KINDS))
    .scalar_subquery()
)
_CLIENT_COLUMNS = (
    Client.id.label("client_id"),
    Client.scopes,
    Client.requests_per_minute,
    Client.recipients_per_minute,
)

_AnyRow: TypeAlias = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class RateLimits:
    """A client's own limits per minute; None means the limit of the settings."""

    requests_per_minute: int | None = None
    recipients_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client with its scopes and limits."""

    client_id: UUID
    scopes: frozenset[Scope]
    limits: RateLimits = RateLimits()


@dataclass(frozen=True, slots=True)
class StoredCredential(KnownClient):
    """A credential as it is stored. `scopes` are those that both the credential and its client have."""

    digest: bytes = b""
    is_expired: bool = False
    sealed: bytes | None = None
    may_send_by_token: bool = False


def put(
    db: Connection, client_id: UUID, name: str, *, scopes: Iterable[Scope], limits: RateLimits | None = None
) -> None:
    """Create or rename a client and set its scopes. `limits` replaces its limits; None leaves them as they are."""
    values: dict[str, object] = {"name": name, "scopes": [str(scope) for scope in scopes]}
    if limits is not None:
        values["requests_per_minute"] = limits.requests_per_minute
        values["recipients_per_minute"] = limits.recipients_per_minute
    statement = upsert(Client).values(id=client_id, **values)
    db.execute(statement.on_conflict_do_update(index_elements=[Client.id], set_=values))


def exists(db: Connection, client_id: UUID) -> bool:
    """Check whether there is a client with this id."""
    return db.scalar(select(Client.id).where(Client.id == client_id)) is not None


def identify(db: Connection, text: str) -> list[UUID]:
    """Return the clients that this text names: the one with this id, else every one with exactly this name."""
    client_id = read_uuid(text)
    if client_id is not None and exists(db, client_id):
        return [client_id]
    return list(db.scalars(select(Client.id).where(Client.name == text).order_by(Client.id)))


def add_credentials(
    db: Connection,
    client_id: UUID,
    new: Sequence[NewCredential],
    *,
    scopes: Iterable[Scope] | None = None,
    lifetime: timedelta | None = None,
) -> None:
    """Store new credentials. They have all scopes of their client unless `scopes` narrows them.

    Without a `lifetime` they do not expire.
    """
    shared = {
        "client_id": client_id,
        "scopes": None if scopes is None else [str(scope) for scope in scopes],
        "expires_at": None if lifetime is None else func.clock_timestamp() + lifetime,
    }
    rows = [
        {"prefix": each.prefix, "kind": str(each.kind), "digest": each.digest, "sealed": each.sealed, **shared}
        for each in new
    ]
    db.execute(insert(Credential).values(rows))


def find_credential(db: Connection, prefix: str, kind: CredentialKind) -> StoredCredential | None:
    """Return the credential of this prefix and kind; None when there is none, or it has expired or was revoked."""
    found = find_credentials(db, [(prefix, kind)]).get((prefix, kind))
    return None if found is None or found.is_expired else found


def find_credentials(
    db: Connection, keys: Sequence[tuple[str, CredentialKind]]
) -> dict[tuple[str, CredentialKind], StoredCredential]:
    """Return those of these credentials, by prefix and kind, that were not revoked. Expired ones are included."""
    rows = db.execute(
        select(
            *_CLIENT_COLUMNS,
            Credential.prefix,
            Credential.kind,
            Credential.digest,
            Credential.sealed,
            Client.may_send_by_token,
            Credential.scopes.label("narrowed"),
            _IS_EXPIRED.label("is_expired"),
        )
        .join(Client, Client.id == Credential.client_id)
        .where(Credential.prefix.in_([prefix for prefix, _ in keys]), Credential.revoked_at.is_(None))
    ).all()
    found = {(row.prefix, CredentialKind(row.kind)): _credential(row) for row in rows}
    return {key: found[key] for key in keys if key in found}


def find_clients(db: Connection, names: Sequence[str]) -> dict[str, KnownClient]:
    """Return the clients that are linked to these ids of the trusted issuer (`identities/issuer_links.py`).

    A client is left out when it has keys or secrets and all of them were revoked.
    """
    rows = db.execute(
        select(*_CLIENT_COLUMNS, IssuerLink.issuer_client)
        .join(IssuerLink, IssuerLink.client_id == Client.id)
        .where(IssuerLink.issuer_client.in_([issuer_id(name) for name in names]), ~_IS_SHUT_OUT)
    ).all()
    found = {row.issuer_client: _client(row) for row in rows}
    return {name: found[issuer_id(name)] for name in names if issuer_id(name) in found}


def issuer_id(text: str) -> str:
    """Return an id at the issuer as it is stored: UUIDs, which may be written in either case, in lower case."""
    return str(read_uuid(text) or text)


def _client(row: _AnyRow) -> KnownClient:
    return KnownClient(row.client_id, _read_scopes(row.scopes), _limits(row))


def _credential(row: _AnyRow) -> StoredCredential:
    scopes = _read_scopes(row.scopes)
    narrowed = scopes if row.narrowed is None else scopes & _read_scopes(row.narrowed)
    return StoredCredential(
        row.client_id, narrowed, _limits(row), row.digest, row.is_expired, row.sealed, row.may_send_by_token
    )


def _limits(row: _AnyRow) -> RateLimits:
    return RateLimits(row.requests_per_minute, row.recipients_per_minute)


def _read_scopes(words: Sequence[str]) -> frozenset[Scope]:
    """Read stored scopes. A scope that only a later version knows is ignored."""
    return frozenset(Scope(word) for word in words if word in set(Scope))


def put_trust(db: Connection, client_id: UUID, trust: Trust) -> None:
    """Store how far staff trust a client."""
    db.execute(update(Client).where(Client.id == client_id).values(trust=trust))
