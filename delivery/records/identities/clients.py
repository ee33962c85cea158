"""API clients, what they may do, and finding one by what it shows or is called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Row, false, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from delivery.credentials import NewCredential
from delivery.intake.uuids import read_uuid
from delivery.records.schema import Client, Credential
from delivery.vocabulary import CredentialKind, Scope

# Only the database's clock decides this: those of our processes may differ.
_IS_EXPIRED = func.coalesce(Credential.expires_at <= func.clock_timestamp(), false())
# A client whose every key and secret was revoked is to be heard of no more, whatever a foreign issuer says.
_IS_SHUT_OUT = (
    select(func.coalesce(func.bool_and(Credential.revoked_at.is_not(None)), false()))
    .where(Credential.client_id == Client.id, Credential.kind != str(CredentialKind.ACCESS_TOKEN))
    .scalar_subquery()
)
_WHO = (Client.id.label("client_id"), Client.scopes, Client.requests_per_minute, Client.recipients_per_minute)

_AnyRow: TypeAlias = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How much a client may do in a minute; None means the limit of the settings."""

    requests_per_minute: int | None = None
    recipients_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client, and what it may do."""

    client_id: UUID
    scopes: frozenset[Scope]
    limits: RateLimits = RateLimits()


@dataclass(frozen=True, slots=True)
class StoredCredential(KnownClient):
    """What is known of the credential with a certain prefix. `scopes` are what both it and its client may do."""

    digest: bytes = b""
    is_expired: bool = False


def put(
    db: Connection, client_id: UUID, name: str, *, scopes: Iterable[Scope], limits: RateLimits | None = None
) -> None:
    """Create or rename a client and set its scopes; and its limits, where they are given."""
    values: dict[str, object] = {"name": name, "scopes": [str(scope) for scope in scopes]}
    if limits is not None:
        values["requests_per_minute"] = limits.requests_per_minute
        values["recipients_per_minute"] = limits.recipients_per_minute
    statement = upsert(Client).values(id=client_id, **values)
    db.execute(statement.on_conflict_do_update(index_elements=[Client.id], set_=values))


def exists(db: Connection, client_id: UUID) -> bool:
    """Say whether there is such a client."""
    return db.scalar(select(Client.id).where(Client.id == client_id)) is not None


def identify(db: Connection, text: str) -> list[UUID]:
    """Give the clients that a person calls so: the one with this id, else every one with exactly this name."""
    client_id = read_uuid(text)
    if client_id is not None and exists(db, client_id):
        return [client_id]
    return list(db.scalars(select(Client.id).where(Client.name == text).order_by(Client.id)))


def add_credentials(
    db: Connection,
    client_id: UUID,
    minted: Sequence[NewCredential],
    *,
    scopes: Iterable[Scope] | None = None,
    lifetime: timedelta | None = None,
) -> None:
    """Store the prefixes and digests of fresh credentials. None narrows no scopes, and gives no end."""
    shared = {
        "client_id": client_id,
        "scopes": None if scopes is None else [str(scope) for scope in scopes],
        "expires_at": None if lifetime is None else func.clock_timestamp() + lifetime,
    }
    rows = [{"prefix": each.prefix, "kind": str(each.kind), "digest": each.digest, **shared} for each in minted]
    db.execute(insert(Credential).values(rows))


def find_credential(db: Connection, prefix: str, kind: CredentialKind) -> StoredCredential | None:
    """Find the credential of this prefix and kind; None when there is none, or it has expired or was revoked."""
    found = find_credentials(db, [(prefix, kind)]).get((prefix, kind))
    return None if found is None or found.is_expired else found


def find_credentials(
    db: Connection, shown: Sequence[tuple[str, CredentialKind]]
) -> dict[tuple[str, CredentialKind], StoredCredential]:
    """Find those of these credentials, by prefix and kind, that were not revoked. An expired one says so."""
    rows = db.execute(
        select(
            *_WHO,
            Credential.prefix,
            Credential.kind,
            Credential.digest,
            Credential.scopes.label("narrowed"),
            _IS_EXPIRED.label("is_expired"),
        )
        .join(Client, Client.id == Credential.client_id)
        .where(Credential.prefix.in_([prefix for prefix, _ in shown]), Credential.revoked_at.is_(None))
    ).all()
    found = {(row.prefix, CredentialKind(row.kind)): _credential(row) for row in rows}
    return {key: found[key] for key in shown if key in found}


def find_clients(db: Connection, called: Sequence[str]) -> dict[str, KnownClient]:
    """Find the clients that a foreign issuer calls so: by id, or by a name that only one client has.

    A client whose every key and secret was revoked is shut out, and not found.
    """
    ids = {text: client_id for text in called if (client_id := read_uuid(text))}
    rows = db.execute(
        select(*_WHO, Client.name, _IS_SHUT_OUT.label("is_shut_out")).where(
            or_(Client.id.in_(ids.values()), Client.name.in_(called))
        )
    ).all()
    chosen = {text: _choose(rows, text, ids.get(text)) for text in called}
    return {text: _client(row) for text, row in chosen.items() if row is not None and not row.is_shut_out}


def _choose(rows: Sequence[_AnyRow], name: str, client_id: UUID | None) -> _AnyRow | None:
    named = [row for row in rows if row.client_id == client_id] or [row for row in rows if row.name == name]
    return named[0] if len(named) == 1 else None


def _client(row: _AnyRow) -> KnownClient:
    return KnownClient(row.client_id, _read_scopes(row.scopes), _limits(row))


def _credential(row: _AnyRow) -> StoredCredential:
    scopes = _read_scopes(row.scopes)
    narrowed = scopes if row.narrowed is None else scopes & _read_scopes(row.narrowed)
    return StoredCredential(row.client_id, narrowed, _limits(row), row.digest, row.is_expired)


def _limits(row: _AnyRow) -> RateLimits:
    return RateLimits(row.requests_per_minute, row.recipients_per_minute)


def _read_scopes(words: Sequence[str]) -> frozenset[Scope]:
    """Read stored scopes. One that only a later version knows means nothing here."""
    return frozenset(Scope(word) for word in words if word in set(Scope))
