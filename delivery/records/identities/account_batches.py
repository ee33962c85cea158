"""Store accounts of a file in sets: the file's values replace stored ones, except what account holders have chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from delivery.intake.account_files import AccountRow
from delivery.intake.accounts import DEFAULT_TIME_ZONE
from delivery.records.identities.accounts import CHANNEL_CHOSEN, CLOSED_CHOSEN, TYPES_CHOSEN
from delivery.records.identities.address_changes import Author, record_changes
from delivery.records.identities.silenced_addresses import stop_silenced
from delivery.vocabulary import AccountStatus, Channel


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How many accounts were new, and how many keep a preference of their holder although the file has another."""

    new_count: int
    kept_count: int


@dataclass(frozen=True, slots=True)
class ImportRules:
    """Who imports, for the security log, and whether choices of account holders are replaced."""

    author: Author
    is_forced: bool = False


# NULL means that the row does not name the field. These are arrays because the planner always expects 100 rows of a
# JSON text, and then reads the whole table.
_GIVEN_ACCOUNTS = """
    unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:emails AS text[]), CAST(:statuses AS text[]),
           CAST(:time_zones AS text[])) AS given (id, name, email, status, time_zone)
"""
_GIVEN_PREFERENCES = """
    unnest(CAST(:ids AS uuid[]), CAST(:channels AS text[]), CAST(:closed AS boolean[]), CAST(:types AS text[]))
        AS given (id, channel, is_closed, types)
"""
# The rows are sorted, so that two writers of the same accounts wait for each other in one direction only. The second
# statement of each pair finds its rows locked by the first.
_STORE_ACCOUNTS = text(f"""
    INSERT INTO account (id, name, email, status, time_zone)
    SELECT id, name, email, coalesce(status, '{AccountStatus.ACTIVE}'), coalesce(time_zone, '{DEFAULT_TIME_ZONE}')
    FROM {_GIVEN_ACCOUNTS}
    ORDER BY id
    ON CONFLICT (id) DO UPDATE
    SET name = excluded.name, email = excluded.email, updated_at = clock_timestamp()
    RETURNING id, xmax = 0 AS is_new
""")
_CHANGE_ACCOUNTS = text(f"""
    UPDATE account
    SET status = coalesce(given.status, account.status), time_zone = coalesce(given.time_zone, account.time_zone)
    FROM {_GIVEN_ACCOUNTS}
    WHERE account.id = given.id
        AND (given.status <> account.status OR given.time_zone <> account.time_zone)
""")
# `WHERE false` changes no stored row, but PostgreSQL locks each that the conflict is about.
_ADD_PREFERENCES = text(f"""
    INSERT INTO preference (account_id, channel, is_closed, accepted_types,
                            is_channel_chosen, is_closed_chosen, are_types_chosen)
    SELECT id, coalesce(channel, '{Channel.INBOX}'), coalesce(is_closed, false), CAST(types AS text[]),
           false, false, false
    FROM {_GIVEN_PREFERENCES}
    ORDER BY id
    ON CONFLICT (account_id) DO UPDATE SET channel = preference.channel WHERE false
""")
# Types in another order are the same types. A preference that was replaced is the file's, so it is no longer chosen. A
# row that keeps all is not written at all, and the last statement counts it.
_CHANGE_PREFERENCES = text(f"""
    WITH judged AS (
        SELECT account_id, given.channel, given.is_closed, CAST(given.types AS text[]) AS accepted_types,
               {CHANNEL_CHOSEN} AS is_channel_chosen,
               {CLOSED_CHOSEN} AS is_closed_chosen,
               {TYPES_CHOSEN} AS are_types_chosen,
               (given.channel <> preference.channel) IS TRUE AS is_channel_other,
               (given.is_closed <> preference.is_closed) IS TRUE AS is_closed_other,
               given.types IS NOT NULL
                   AND (CAST(given.types AS text[]) @> preference.accepted_types
                        AND CAST(given.types AS text[]) <@ preference.accepted_types) IS NOT TRUE AS are_types_other
        FROM preference JOIN {_GIVEN_PREFERENCES} ON given.id = account_id
    ), applied AS (
        SELECT *, is_channel_other AND (:is_forced OR NOT is_channel_chosen) AS sets_channel,
               is_closed_other AND (:is_forced OR NOT is_closed_chosen) AS sets_closed,
               are_types_other AND (:is_forced OR NOT are_types_chosen) AS sets_types
        FROM judged
    ), changed AS (
        UPDATE preference
        SET channel = CASE WHEN sets_channel THEN applied.channel ELSE preference.channel END,
            is_closed = CASE WHEN sets_closed THEN applied.is_closed ELSE preference.is_closed END,
            accepted_types = CASE WHEN sets_types THEN applied.accepted_types ELSE preference.accepted_types END,
            is_channel_chosen = applied.is_channel_chosen AND NOT sets_channel,
            is_closed_chosen = applied.is_closed_chosen AND NOT sets_closed,
            are_types_chosen = applied.are_types_chosen AND NOT sets_types
        FROM applied
        WHERE preference.account_id = applied.account_id AND (sets_channel OR sets_closed OR sets_types)
    )
    SELECT count(*) FROM applied
    WHERE is_channel_other AND NOT sets_channel OR is_closed_other AND NOT sets_closed
        OR are_types_other AND NOT sets_types
""")
_PREFERENCES = {"channel", "closed", "accepted_types"}


def bring_in(db: Connection, rows: Sequence[AccountRow], rules: ImportRules) -> BatchResult:
    """Create or change these accounts, and the preferences that their rows name. Each account may occur only once.

    A field that a row does not name keeps its value; in a new account it has its default. What account holders have
    chosen themselves is kept, unless the import is forced; so is that they unsubscribed an address, for every account
    that gets it.
    """
    if not rows:
        return BatchResult(0, 0)
    changed = record_changes(db, {row.account_id: row.draft.email for row in rows}, rules.author)
    values = _account_values(rows)
    new = {row.id for row in db.execute(_STORE_ACCOUNTS, values) if row.is_new}
    if len(new) < len(rows):
        db.execute(_CHANGE_ACCOUNTS, values)
    # Before the preferences of the file, which then meet a choice that they do not replace.
    stop_silenced(db, new | changed.elsewhere)
    with_preferences = [row for row in rows if not row.named.isdisjoint(_PREFERENCES)]
    return BatchResult(len(new), _store_preferences(db, with_preferences, is_forced=rules.is_forced))


def _store_preferences(db: Connection, rows: Sequence[AccountRow], *, is_forced: bool) -> int:
    """Return how many accounts keep a choice of their holder."""
    if not rows:
        return 0
    values = _preference_values(rows)
    if db.execute(_ADD_PREFERENCES, values).rowcount == len(rows):
        return 0
    return int(db.scalar(_CHANGE_PREFERENCES, {**values, "is_forced": is_forced}) or 0)


def _account_values(rows: Sequence[AccountRow]) -> dict[str, object]:
    return {
        "ids": [row.account_id for row in rows],
        "names": [row.draft.name for row in rows],
        "emails": [row.draft.email for row in rows],
        "statuses": [str(row.draft.status) if "status" in row.named else None for row in rows],
        "time_zones": [row.draft.time_zone if "time_zone" in row.named else None for row in rows],
    }


def _preference_values(rows: Sequence[AccountRow]) -> dict[str, object]:
    return {
        "ids": [row.account_id for row in rows],
        "channels": [str(row.preferences.channel) if "channel" in row.named else None for row in rows],
        "closed": [row.preferences.is_closed if "closed" in row.named else None for row in rows],
        # An array in PostgreSQL's notation: its own arrays cannot hold lists of different lengths.
        "types": [
            f"{{{','.join(row.preferences.accepted_types or ())}}}" if "accepted_types" in row.named else None
            for row in rows
        ],
    }
