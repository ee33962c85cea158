"""Record which accounts get another e-mail address, and from whom. The addresses themselves are stored as digests."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Connection, text

from delivery.intake.accounts import AccountDraft
from delivery.records.identities.accounts import put_accounts, register
from delivery.records.identities.security_events import SecurityEvent, record
from delivery.records.identities.silenced_addresses import stop_silenced
from delivery.unsubscribe_tokens import digest_address
from delivery.vocabulary import SecurityEventKind

# The rows are locked in the order in which the statements that store accounts lock them.
_CHANGED = text("""
    SELECT account.id, account.email AS old, given.email AS new,
           lower(account.email) <> lower(given.email) AS is_elsewhere
    FROM unnest(CAST(:ids AS uuid[]), CAST(:emails AS text[])) AS given (id, email)
    JOIN account ON account.id = given.id AND account.email <> given.email
    ORDER BY account.id FOR NO KEY UPDATE OF account
""")


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes accounts: a client or an operator, and the pepper of the digests."""

    actor: str
    pepper: SecretStr
    client_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ReplacedAccount:
    """Whether an account is new, and whether its address was another one before."""

    is_new: bool
    is_address_changed: bool


@dataclass(frozen=True, slots=True)
class ChangedAddresses:
    """How many accounts get another address, and which of them get one that differs in more than case."""

    number: int
    elsewhere: set[UUID]


def replace_account(db: Connection, account_id: UUID, draft: AccountDraft, author: Author) -> ReplacedAccount:
    """Create or replace an account, and record a change of its address.

    Its preferences stay as they are, unless it gets an address that was unsubscribed.
    """
    changed = record_changes(db, {account_id: draft.email}, author)
    drafts = {account_id: draft}
    new = put_accounts(db, drafts) if author.client_id is None else register(db, author.client_id, drafts)
    stop_silenced(db, new | changed.elsewhere)
    return ReplacedAccount(bool(new), changed.number > 0)


def record_changes(db: Connection, addresses: Mapping[UUID, str], author: Author) -> ChangedAddresses:
    """Record which of these accounts have another address until now, and lock them."""
    rows = db.execute(_CHANGED, {"ids": list(addresses), "emails": list(addresses.values())}).all()
    events = [
        SecurityEvent(
            SecurityEventKind.ADDRESS_CHANGED,
            author.actor,
            author.client_id,
            str(row.id),
            {"old": digest_address(row.old, author.pepper).hex(), "new": digest_address(row.new, author.pepper).hex()},
        )
        for row in rows
    ]
    record(db, *events)
    return ChangedAddresses(len(events), {row.id for row in rows if row.is_elsewhere})
