"""The life of credentials: listed, rotated, revoked, noted as used, and forgotten when they are long past."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.credentials import NewCredential
from delivery.records.identities.clients import add_credentials
from delivery.vocabulary import CredentialKind, Scope

USE_NOTED_EVERY = timedelta(minutes=1)
"""`last_used_at` is this coarse, so that a busy key costs one write a minute and not one a request."""

TOKEN_KEPT_FOR = timedelta(days=1)
"""How long an expired token is still told from one that never was."""

_IS_ALIVE = "revoked_at IS NULL AND coalesce(expires_at > clock_timestamp(), true)"
_KEYS = text(f"""
    SELECT client_id, prefix, kind, scopes, created_at, last_used_at, expires_at, revoked_at, {_IS_ALIVE} AS is_alive
    FROM credential WHERE kind <> '{CredentialKind.ACCESS_TOKEN}' ORDER BY created_at, prefix
""")
_CLIENTS = text(f"""
    SELECT id AS client_id, name, scopes, requests_per_minute, recipients_per_minute, created_at, (
        SELECT count(*) FROM credential
        WHERE client_id = client.id AND kind = '{CredentialKind.ACCESS_TOKEN}' AND {_IS_ALIVE}
    ) AS live_tokens
    FROM client ORDER BY created_at, id
""")
_LIVE_SCOPES = text(f"""
    SELECT scopes FROM credential WHERE client_id = :client_id AND kind = :kind AND {_IS_ALIVE} FOR UPDATE
""")
_END = text(f"""
    UPDATE credential SET expires_at = least(expires_at, clock_timestamp() + :overlap)
    WHERE client_id = :client_id AND {_IS_ALIVE}
      AND (kind = :kind OR kind = '{CredentialKind.ACCESS_TOKEN}' AND :kind = '{CredentialKind.CLIENT_SECRET}')
""")
# What a secret has opened ends with it: the client's tokens.
_REVOKE = text(f"""
    UPDATE credential SET revoked_at = clock_timestamp()
    WHERE revoked_at IS NULL AND (
        prefix = :prefix
        OR kind = '{CredentialKind.ACCESS_TOKEN}' AND client_id = (
            SELECT client_id FROM credential WHERE prefix = :prefix AND kind = '{CredentialKind.CLIENT_SECRET}'
        )
    )
""")
_REVOKE_ALL = text("""
    UPDATE credential SET revoked_at = clock_timestamp() WHERE client_id = :client_id AND revoked_at IS NULL
""")
# Two processes note the same keys at the same time: whoever comes second has nothing to add, and must not wait.
_NOTE_USE = text("""
    UPDATE credential SET last_used_at = clock_timestamp() WHERE prefix IN (
        SELECT prefix FROM credential
        WHERE prefix = ANY(:prefixes) AND coalesce(last_used_at < clock_timestamp() - :every, true)
        FOR UPDATE SKIP LOCKED
    )
""")
_FORGET = text(f"""
    DELETE FROM credential WHERE prefix IN (
        SELECT prefix FROM credential
        WHERE client_id = :client_id AND kind = '{CredentialKind.ACCESS_TOKEN}'
          AND expires_at < clock_timestamp() - :kept
        FOR UPDATE SKIP LOCKED
    )
""")


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key or secret as people see it. Its scopes are None where it may do what its client may."""

    prefix: str
    kind: CredentialKind
    scopes: list[str] | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_alive: bool


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client with its keys and secrets; of its access tokens only the number of those that still work."""

    client_id: UUID
    name: str
    scopes: list[str]
    requests_per_minute: int | None
    recipients_per_minute: int | None
    created_at: datetime
    live_tokens: int
    credentials: list[KeyView]


class NotRotated(Exception):  # noqa: N818 - a fact about a client
    """There is no live key that a new one could replace, or there are several that may do different things."""


def overview(db: Connection) -> list[ClientView]:
    """Show all clients, oldest first, each with its keys and secrets, oldest first."""
    keys: dict[UUID, list[KeyView]] = {}
    for row in db.execute(_KEYS).mappings():
        facts = {**row, "kind": CredentialKind(row["kind"])}
        keys.setdefault(facts.pop("client_id"), []).append(KeyView(**facts))
    return [ClientView(**row, credentials=keys.get(row["client_id"], [])) for row in db.execute(_CLIENTS).mappings()]


def rotate(
    db: Connection, client_id: UUID, minted: NewCredential, *, overlap: timedelta, lifetime: timedelta | None = None
) -> int:
    """Store a fresh key, and let the live ones of its kind end after the overlap. Answer how many these are.

    The new one may do what they may. Raises `NotRotated` when that is not one thing.
    """
    values = {"client_id": client_id, "kind": str(minted.kind)}
    replaced = [None if row.scopes is None else frozenset(row.scopes) for row in db.execute(_LIVE_SCOPES, values)]
    if len(set(replaced)) != 1:
        what = f"{len(replaced)} that differ in their scopes" if replaced else "none that works"
        raise NotRotated(f"to rotate one {minted.kind}, and has {what}")
    db.execute(_END, {**values, "overlap": overlap})
    scopes = None if replaced[0] is None else map(Scope, replaced[0])
    add_credentials(db, client_id, [minted], scopes=scopes, lifetime=lifetime)
    return len(replaced)


def revoke(db: Connection, prefix: str) -> bool:
    """Revoke one credential, and the tokens of a secret's client with it. False when nothing was left to revoke."""
    return db.execute(_REVOKE, {"prefix": prefix}).rowcount > 0


def revoke_all(db: Connection, client_id: UUID) -> int:
    """Revoke every credential of a client, tokens too; answer how many these were."""
    return db.execute(_REVOKE_ALL, {"client_id": client_id}).rowcount


def note_use(db: Connection, prefixes: Sequence[str]) -> None:
    """Note that these credentials were used just now, unless that was noted within the last minute."""
    db.execute(_NOTE_USE, {"prefixes": list(prefixes), "every": USE_NOTED_EVERY})


def issue_token(
    db: Connection, client_id: UUID, minted: NewCredential, *, scopes: Collection[Scope], lifetime: timedelta
) -> None:
    """Store a fresh access token, and forget those of its client that expired more than a day ago."""
    db.execute(_FORGET, {"client_id": client_id, "kept": TOKEN_KEPT_FOR})
    add_credentials(db, client_id, [minted], scopes=scopes, lifetime=lifetime)
