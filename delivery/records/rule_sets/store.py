"""Store rule sets under numbers, and read them. The set with the highest number is in force."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from delivery.rulebook.documents import read_stored, to_document
from delivery.rules.rule_set import RuleSet

_LOCK_KEY = 0x72756C6573657400  # "ruleset" in ASCII: of two editors, one waits.


class ChangedMeanwhile(Exception):  # noqa: N818 - a fact about the store
    """Another set was made since the one that this change starts from. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class Edition:
    """A stored rule set without its content."""

    number: int
    made_by: str
    comment: str
    made_at: datetime


_INSERT_LIST = text("""
    INSERT INTO word_list (digest, entries) VALUES (:digest, CAST(:entries AS text[])) ON CONFLICT DO NOTHING
""")
_INSERT_SET = text("""
    INSERT INTO rule_set (document, made_by, comment) VALUES (CAST(:document AS jsonb), :made_by, :comment)
    RETURNING number
""")
NEWEST = "(SELECT max(number) FROM rule_set)"
"""The number of the set in force, for statements that ask for it beside something else. NULL without any set."""


def newest_number(db: Connection) -> int | None:
    """Return the number of the set in force, None if there is none."""
    number: int | None = db.scalar(text(f"SELECT {NEWEST}"))
    return number


def store(db: Connection, rule_set: RuleSet, *, made_by: str, comment: str) -> int:
    """Store a set and put it in force. Returns its number.

    The set's own `number` is that of the set that it was made from, 0 for a first one. Raises `ChangedMeanwhile` if
    another one is in force by now.
    """
    db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    newest = newest_number(db)
    if rule_set.number != (newest or 0):
        raise ChangedMeanwhile(f"Rule set {newest} was made meanwhile. Look at it, then make your change again.")
    document = to_document(rule_set)
    for listed in document.get("lists", ()):
        entries = listed.pop("entries", [])
        listed["digest"] = hashlib.sha256(json.dumps(entries).encode()).hexdigest()
        db.execute(_INSERT_LIST, {"digest": listed["digest"], "entries": entries})
    values = {"document": json.dumps(document), "made_by": made_by, "comment": comment}
    return int(db.execute(_INSERT_SET, values).scalar_one())


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A rule set as it is stored, with the entries of its lists: not compiled yet."""

    number: int
    document: Mapping[str, Any]


def stored_set(db: Connection, number: int | None = None) -> StoredDocument | None:
    """Return the set of this number, by default the one in force, as it is stored; None if there is none."""
    number = newest_number(db) if number is None else number
    document = db.scalar(text("SELECT document FROM rule_set WHERE number = :number"), {"number": number})
    if document is None or number is None:
        return None
    digests = [each["digest"] for each in document.get("lists", ())]
    rows = db.execute(text("SELECT digest, entries FROM word_list WHERE digest = ANY(:digests)"), {"digests": digests})
    entries = {row.digest: row.entries for row in rows}
    lists = [_with_entries(each, entries) for each in document.get("lists", ())]
    return StoredDocument(number, {**document, "lists": lists})


def read(db: Connection, number: int) -> RuleSet | None:
    """Return the set of this number, None if there is none. Raises `InvalidRuleSet` for one that cannot be used."""
    stored = stored_set(db, number)
    return None if stored is None else read_stored(stored.document, number)


def read_newest(db: Connection) -> RuleSet:
    """Return the set in force; an empty one of number 0 if there is none."""
    number = newest_number(db)
    found = read(db, number) if number is not None else None
    return found or RuleSet()


def editions(db: Connection, limit: int) -> list[Edition]:
    """Return the newest sets, newest first."""
    rows = db.execute(
        text("SELECT number, made_by, comment, made_at FROM rule_set ORDER BY number DESC LIMIT :limit"),
        {"limit": limit},
    )
    return [Edition(row.number, row.made_by, row.comment, row.made_at) for row in rows]


def _with_entries(listed: Mapping[str, Any], entries: Mapping[str, list[str]]) -> dict[str, Any]:
    return {**{key: value for key, value in listed.items() if key != "digest"}, "entries": entries[listed["digest"]]}
