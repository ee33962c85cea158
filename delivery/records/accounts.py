"""Accounts and what they want."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from delivery.records.schema import Account, AccountPreference
from delivery.vocabulary import AccountStatus, Channel, MessageType


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account as its platform describes it, with its preferences."""

    account_id: UUID
    name: str
    email: str
    status: AccountStatus = AccountStatus.ACTIVE
    channel: Channel = Channel.INBOX
    is_closed: bool = False
    accepted_types: tuple[MessageType, ...] | None = None


def put(db: Connection, accounts: Sequence[AccountFacts]) -> None:
    """Create or replace these accounts and their preferences."""
    if not accounts:
        return
    _upsert_accounts(db, accounts)
    _upsert_preferences(db, accounts)


def _upsert_accounts(db: Connection, accounts: Sequence[AccountFacts]) -> None:
    statement = insert(Account).values(
        [
            {"id": facts.account_id, "name": facts.name, "email": facts.email, "status": str(facts.status)}
            for facts in accounts
        ]
    )
    new = statement.excluded
    db.execute(
        statement.on_conflict_do_update(
            index_elements=[Account.id],
            set_={"name": new.name, "email": new.email, "status": new.status, "updated_at": func.clock_timestamp()},
        )
    )


def _upsert_preferences(db: Connection, accounts: Sequence[AccountFacts]) -> None:
    statement = insert(AccountPreference).values(
        [
            {
                "account_id": facts.account_id,
                "channel": str(facts.channel),
                "is_closed": facts.is_closed,
                "accepted_types": None
                if facts.accepted_types is None
                else [str(each) for each in facts.accepted_types],
            }
            for facts in accounts
        ]
    )
    new = statement.excluded
    db.execute(
        statement.on_conflict_do_update(
            index_elements=[AccountPreference.account_id],
            set_={"channel": new.channel, "is_closed": new.is_closed, "accepted_types": new.accepted_types},
        )
    )


def find(db: Connection, account_ids: Sequence[UUID]) -> list[AccountFacts]:
    """Read those of these accounts that there are, in no order."""
    rows = db.execute(
        select(Account.id, Account.name, Account.email, Account.status, AccountPreference)
        .outerjoin(AccountPreference, AccountPreference.account_id == Account.id)
        .where(Account.id.in_(account_ids))
    )
    return [
        AccountFacts(
            account_id=row.id,
            name=row.name,
            email=row.email,
            status=AccountStatus(row.status),
            channel=Channel(row.channel or Channel.INBOX),
            is_closed=bool(row.is_closed),
            accepted_types=None if row.accepted_types is None else tuple(map(MessageType, row.accepted_types)),
        )
        for row in rows
    ]
