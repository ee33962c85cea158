"""Links between clients and the trusted issuer: which clients accept its tokens, and what it calls them."""

from uuid import UUID

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from delivery.records.client_tables import IssuerLink
from delivery.records.identities.clients import issuer_id

ISSUER_ID_LIMIT = 200
"""The most characters that an id at the issuer may have."""


class LinkedElsewhere(Exception):  # noqa: N818 - a fact about a client
    """The issuer's client is linked to another client already; `client_id` is that one."""

    def __init__(self, client_id: UUID) -> None:
        super().__init__(f"the issuer's client is linked to the client {client_id}")
        self.client_id = client_id


def is_issuer_id(text: str) -> bool:
    """Check whether a token can name a client like this."""
    return 0 < len(text) <= ISSUER_ID_LIMIT and text.isprintable()


def link(db: Connection, client_id: UUID, issuer_client: str) -> None:
    """Let tokens that the issuer made for this client of its own work as this client. Safe to repeat.

    Raises `LinkedElsewhere`.
    """
    stored = issuer_id(issuer_client)
    db.execute(upsert(IssuerLink).values(issuer_client=stored, client_id=client_id).on_conflict_do_nothing())
    owner = db.scalar(select(IssuerLink.client_id).where(IssuerLink.issuer_client == stored))
    if owner is not None and owner != client_id:
        raise LinkedElsewhere(owner)


def unlink(db: Connection, client_id: UUID, issuer_client: str | None = None) -> int:
    """Remove this link of a client, or all of its links. Return how many there were."""
    statement = delete(IssuerLink).where(IssuerLink.client_id == client_id)
    if issuer_client is not None:
        statement = statement.where(IssuerLink.issuer_client == issuer_id(issuer_client))
    return db.execute(statement).rowcount


def links_by_client(db: Connection) -> dict[UUID, list[str]]:
    """Return what the issuer calls each linked client, in alphabetical order."""
    called = func.array_agg(IssuerLink.issuer_client.op("ORDER BY")(IssuerLink.issuer_client))
    rows = db.execute(select(IssuerLink.client_id, called).group_by(IssuerLink.client_id))
    return {client_id: list(names) for client_id, names in rows}
