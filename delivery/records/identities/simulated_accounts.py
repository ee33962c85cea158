"""The accounts of simulated recipients, and which clients may send to them."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, select, update

from delivery.intake.accounts import AccountDraft
from delivery.records.identities.accounts import put_accounts
from delivery.records.schema import Client
from delivery.rules.simulated_recipients import SIMULATED

_DOMAIN = "simulated.invalid"


def mark(db: Connection, client_id: UUID, *, is_test: bool) -> None:
    """Let a client send to simulated recipients, or end that. Their accounts are made when they are first needed."""
    if is_test:
        put_accounts(db, {each: AccountDraft(it.name, f"{it.name}@{_DOMAIN}") for each, it in SIMULATED.items()})
    db.execute(update(Client).where(Client.id == client_id).values(is_test=is_test))


def marked_for_tests(db: Connection, client_ids: Collection[UUID]) -> set[UUID]:
    """Return those of these clients that may send to simulated recipients."""
    return set(db.scalars(select(Client.id).where(Client.id.in_(client_ids), Client.is_test)))
