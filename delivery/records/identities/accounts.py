"""Accounts and their preferences."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.intake.accounts import DEFAULT_TIME_ZONE, AccountDraft, Preferences
from delivery.records.identities import contacts
from delivery.vocabulary import AccountStatus, Channel, MessageType, SenderRule


@dataclass(frozen=True, slots=True)
class AccountFacts(Preferences):
    """A stored account with its preferences; the defaults where none are stored."""

    account_id: UUID
    name: str
    email: str
    status: AccountStatus = AccountStatus.ACTIVE
    time_zone: str = DEFAULT_TIME_ZONE

    @property
    def draft(self) -> AccountDraft:
        """The account without its preferences."""
        return AccountDraft(self.name, self.email, self.status, self.time_zone)


# Whether the account holder chose a preference. Where that is unknown, what limits messages counts as chosen.
CHANNEL_CHOSEN = f"coalesce(preference.is_channel_chosen, preference.channel = '{Channel.INBOX}')"
CLOSED_CHOSEN = "coalesce(preference.is_closed_chosen, preference.is_closed)"
TYPES_CHOSEN = "coalesce(preference.are_types_chosen, preference.accepted_types IS NOT NULL)"


def put(db: Connection, accounts: Sequence[AccountFacts]) -> None:
    """Create or replace these accounts and their preferences."""
    put_accounts(db, {each.account_id: each.draft for each in accounts})
    put_preferences(db, {each.account_id: each for each in accounts})


# Rows are one JSON text, because SQL arrays cannot hold lists of different lengths. They are sorted, so that two
# writers of the same accounts wait for each other in one direction only.
_PUT_ACCOUNTS = text("""
    INSERT INTO account (id, name, email, status, time_zone)
    SELECT id, name, email, status, time_zone
    FROM json_to_recordset(CAST(:rows AS json))
        AS given (id uuid, name text, email text, status text, time_zone text)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE
    SET name = excluded.name, email = excluded.email, status = excluded.status, time_zone = excluded.time_zone,
        updated_at = clock_timestamp()
    RETURNING id, xmax = 0 AS is_new
""")


def put_accounts(db: Connection, drafts: Mapping[UUID, AccountDraft]) -> set[UUID]:
    """Create or replace these accounts, without their preferences. Return the ids of the new ones."""
    rows = [
        {"id": account_id, "name": each.name, "email": each.email, "status": each.status, "time_zone": each.time_zone}
        for account_id, each in drafts.items()
    ]
    # PostgreSQL sets xmax on a row that ON CONFLICT has locked, and leaves it 0 on a new one.
    return {row.id for row in db.execute(_PUT_ACCOUNTS, {"rows": _to_json(rows)}) if row.is_new} if rows else set()


def register(db: Connection, client_id: UUID, drafts: Mapping[UUID, AccountDraft]) -> set[UUID]:
    """Do what `put_accounts` does for a client, whose contacts the accounts then are."""
    new = put_accounts(db, drafts)
    contacts.add(db, [(client_id, account_id) for account_id in drafts])
    return new


# The join leaves out accounts that do not exist, so nothing is stored for them.
# A preference that the holder's client named or that it has changed is chosen, and stays so.
_PUT_PREFERENCES = text(f"""
    INSERT INTO preference (account_id, channel, is_closed, accepted_types,
                            sender_rule, senders, muted_until, quiet_from, quiet_until,
                            is_channel_chosen, is_closed_chosen, are_types_chosen)
    SELECT account.id, channel, is_closed, accepted_types, sender_rule, senders, muted_until, quiet_from, quiet_until,
           'channel' = ANY(CAST(:named AS text[])), 'closed' = ANY(CAST(:named AS text[])),
           'accepted_types' = ANY(CAST(:named AS text[]))
    FROM json_to_recordset(CAST(:rows AS json))
        AS given (account_id uuid, channel text, is_closed boolean, accepted_types text[], sender_rule text,
                  senders text[], muted_until timestamptz, quiet_from time, quiet_until time)
    JOIN account ON account.id = given.account_id AND account.id = ANY(CAST(:account_ids AS uuid[]))
    ORDER BY account.id
    ON CONFLICT (account_id) DO UPDATE
    SET channel = excluded.channel, is_closed = excluded.is_closed, accepted_types = excluded.accepted_types,
        sender_rule = excluded.sender_rule, senders = excluded.senders,
        muted_until = excluded.muted_until, quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until,
        is_channel_chosen = {CHANNEL_CHOSEN} OR excluded.is_channel_chosen OR excluded.channel <> preference.channel,
        is_closed_chosen = {CLOSED_CHOSEN} OR excluded.is_closed_chosen OR excluded.is_closed <> preference.is_closed,
        are_types_chosen = {TYPES_CHOSEN} OR excluded.are_types_chosen
                           OR excluded.accepted_types IS DISTINCT FROM preference.accepted_types
    RETURNING account_id
""")


def put_preferences(db: Connection, preferences: Mapping[UUID, Preferences], named: Collection[str] = ()) -> set[UUID]:
    """Replace all preferences of these accounts. Return the ids of the accounts that exist.

    `named` are the API's names of the fields that the holder chose. Later imports keep them, and what is changed here.
    """
    if not preferences:
        return set()
    rows = [_preference_row(account_id, each) for account_id, each in preferences.items()]
    values = {"rows": _to_json(rows), "account_ids": list(preferences), "named": list(named)}
    return set(db.scalars(_PUT_PREFERENCES, values))


def _preference_row(account_id: UUID, preferences: Preferences) -> dict[str, object]:
    begin, end = preferences.quiet_hours or (None, None)
    return {
        "account_id": account_id,
        "channel": preferences.channel,
        "is_closed": preferences.is_closed,
        "accepted_types": preferences.accepted_types,
        "sender_rule": preferences.sender_rule,
        "senders": preferences.senders,
        "muted_until": preferences.muted_until,
        "quiet_from": begin,
        "quiet_until": end,
    }


def _to_json(rows: Sequence[Mapping[str, object]]) -> str:
    return json.dumps(rows, default=lambda value: str(value) if isinstance(value, UUID | time) else value.isoformat())


_FIND = text("""
    SELECT account.id, name, email, status, time_zone, preference.*
    FROM account LEFT JOIN preference ON preference.account_id = account.id
    WHERE account.id = ANY(CAST(:account_ids AS uuid[]))
""")


def find(db: Connection, account_ids: Sequence[UUID]) -> list[AccountFacts]:
    """Return those of these accounts that exist, in any order."""
    return [_facts(row) for row in db.execute(_FIND, {"account_ids": list(account_ids)})]


def find_one(db: Connection, account_id: UUID) -> AccountFacts | None:
    """Return one account; None when there is no such account."""
    return next(iter(find(db, [account_id])), None)


def _facts(row: Row[tuple[object, ...]]) -> AccountFacts:
    return AccountFacts(
        account_id=row.id,
        name=row.name,
        email=row.email,
        status=AccountStatus(row.status),
        time_zone=row.time_zone,
        channel=Channel(row.channel or Channel.INBOX),
        is_closed=bool(row.is_closed),
        accepted_types=None if row.accepted_types is None else tuple(map(MessageType, row.accepted_types)),
        sender_rule=SenderRule(row.sender_rule) if row.sender_rule else None,
        senders=tuple(row.senders or ()),
        muted_until=row.muted_until,
        quiet_hours=(row.quiet_from, row.quiet_until) if row.quiet_from is not None else None,
    )
