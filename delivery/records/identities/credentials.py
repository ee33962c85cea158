"""Stored credentials: list, rotate and revoke them, record their use, and delete expired tokens."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.credentials import NewCredential
from delivery.records.identities.clients import add_credentials
from delivery.records.identities.issuer_links import links_by_client, unlink
from delivery.vocabulary import CredentialKind, Scope, SecurityEventKind

USE_NOTED_EVERY = timedelta(minutes=1)
"""The precision of `last_used_at`, so that a busy key costs one write per minute and not one per request."""

TOKENS_KEPT = 500
"""How many access tokens of a client are kept, expired ones included. Then the oldest becomes unknown."""

# Of a client that got many from a version without this limit.
_DELETED_AT_ONCE = 2000
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
# Revoking a secret revokes the client's access tokens too, because they were issued for it.
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
# Two processes may record the use of the same keys at the same time. The second has nothing to add and does not wait.
_NOTE_USE = text(f"""
    WITH used AS (
        SELECT prefix, client_id, last_used_at FROM credential
        WHERE prefix = ANY(:prefixes) AND coalesce(last_used_at < clock_timestamp() - :every, true)
        FOR UPDATE SKIP LOCKED
    ), noted AS (
        UPDATE credential SET last_used_at = clock_timestamp() FROM used WHERE credential.prefix = used.prefix
    )
    INSERT INTO security_event (kind, client_id, subject, actor)
    SELECT '{SecurityEventKind.CREDENTIAL_FIRST_USED}', client_id, prefix, 'client ' || client_id
    FROM used WHERE last_used_at IS NULL
    RETURNING client_id, subject
""")
# Since a client has few tokens, its index finds and sorts them in less than a millisecond. Materialized: PostgreSQL
# may run a subselect with FOR UPDATE again for each row, and then it deletes more than LIMIT.
_DELETE_OLDEST = text(f"""
    WITH oldest AS MATERIALIZED (
        SELECT prefix FROM credential
        WHERE client_id = :client_id AND kind = '{CredentialKind.ACCESS_TOKEN}'
        ORDER BY expires_at DESC OFFSET :kept LIMIT {_DELETED_AT_ONCE}
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM credential USING oldest WHERE credential.prefix = oldest.prefix
""")


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key or secret as operators see it. `scopes` is None when it has all scopes of its client."""

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
    """A client with its keys and secrets.

    `live_tokens` counts its access tokens that still work, `issuer_clients` are its ids at the trusted issuer.
    """

    client_id: UUID
    name: str
    scopes: list[str]
    requests_per_minute: int | None
    recipients_per_minute: int | None
    created_at: datetime
    live_tokens: int
    credentials: list[KeyView]
    issuer_clients: list[str]


class NotRotated(Exception):  # noqa: N818 - a fact about a client
    """There is no live key that a new one could replace, or there are several with different scopes."""


def overview(db: Connection) -> list[ClientView]:
    """Return all clients, oldest first, each with its keys and secrets, oldest first."""
    keys: dict[UUID, list[KeyView]] = {}
    for row in db.execute(_KEYS).mappings():
        facts = {**row, "kind": CredentialKind(row["kind"])}
        keys.setdefault(facts.pop("client_id"), []).append(KeyView(**facts))
    links = links_by_client(db)
    return [
        ClientView(**row, credentials=keys.get(row["client_id"], []), issuer_clients=links.get(row["client_id"], []))
        for row in db.execute(_CLIENTS).mappings()
    ]


def rotate(
    db: Connection, client_id: UUID, new: NewCredential, *, overlap: timedelta, lifetime: timedelta | None = None
) -> int:
    """Store a new credential with the scopes of the live ones of its kind, and let those expire after `overlap`.

    Replacing a secret lets the client's access tokens expire then too. Returns how many credentials were replaced.

    Raises `NotRotated` when there is none to replace, or their scopes differ.
    """
    values = {"client_id": client_id, "kind": str(new.kind)}
    replaced = [None if row.scopes is None else frozenset(row.scopes) for row in db.execute(_LIVE_SCOPES, values)]
    if len(set(replaced)) != 1:
        what = f"{len(replaced)} that differ in their scopes" if replaced else "none that works"
        raise NotRotated(f"to rotate one {new.kind}, and has {what}")
    db.execute(_END, {**values, "overlap": overlap})
    scopes = None if replaced[0] is None else map(Scope, replaced[0])
    add_credentials(db, client_id, [new], scopes=scopes, lifetime=lifetime)
    return len(replaced)


def revoke(db: Connection, prefix: str) -> bool:
    """Revoke one credential; with a secret, the client's access tokens too. False when nothing was left to revoke."""
    return db.execute(_REVOKE, {"prefix": prefix}).rowcount > 0


def revoke_all(db: Connection, client_id: UUID) -> int:
    """Revoke all credentials of a client, access tokens too, and its links to the trusted issuer.

    Returns how many credentials were revoked.
    """
    unlink(db, client_id)
    return db.execute(_REVOKE_ALL, {"client_id": client_id}).rowcount


def record_use(db: Connection, prefixes: Sequence[str]) -> dict[str, UUID]:
    """Record that these credentials were used just now, unless a use within the last minute is recorded.

    Returns those that were used for the first time, with their clients.
    """
    rows = db.execute(_NOTE_USE, {"prefixes": list(prefixes), "every": USE_NOTED_EVERY})
    return {row.subject: row.client_id for row in rows}


def issue_token(
    db: Connection, client_id: UUID, new: NewCredential, *, scopes: Collection[Scope], lifetime: timedelta
) -> None:
    """Store a new access token, and delete the oldest ones of its client beyond those that are kept."""
    delete_oldest_tokens(db, client_id, kept=TOKENS_KEPT - 1)
    add_credentials(db, client_id, [new], scopes=scopes, lifetime=lifetime)


def delete_oldest_tokens(db: Connection, client_id: UUID, *, kept: int) -> None:
    """Delete the access tokens of a client that end first, 2,000 at most, beyond those that are `kept`."""
    db.execute(_DELETE_OLDEST, {"client_id": client_id, "kept": kept})
