"""The evidence for the checker: the final database, read not through a fault proxy, the history, the relay's mails."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from psycopg import Connection, connect
from psycopg.rows import dict_row

from chaos.clients import subject
from chaos.history import History
from chaos.mail_relay import Copy
from chaos.schedule import Ending, Schedule

_MESSAGES = """
    SELECT message.*, vetting_case.state AS case_state, extract(epoch FROM vetting_case.decided_at) AS ruled_at
    FROM message LEFT JOIN vetting_case ON vetting_case.message_id = message.id
"""
_RECIPIENTS = """
    SELECT recipient.*, account.email, count(inbox_letter.recipient_id) AS letters,
           min(extract(epoch FROM inbox_letter.delivered_at)) AS letter_at
    FROM recipient
    JOIN account ON account.id = recipient.account_id
    LEFT JOIN inbox_letter ON inbox_letter.message_id = recipient.message_id
                          AND inbox_letter.account_id = recipient.account_id
    GROUP BY recipient.id, account.email
"""
# What is open, except mailboxes that are always busy and messages that no reviewer is to decide.
_UNSETTLED = """
    SELECT count(*) AS unsettled,
           count(*) FILTER (WHERE recipient.state IN ('accepted', 'queued', 'claimed', 'held')
                               OR recipient.due_at <= clock_timestamp()) AS moving,
           count(*) FILTER (WHERE recipient.state = 'held') AS held
    FROM recipient
    JOIN message ON message.id = recipient.message_id
    JOIN account ON account.id = recipient.account_id
    LEFT JOIN vetting_case ON vetting_case.message_id = message.id
    WHERE recipient.state IN ('accepted', 'queued', 'claimed')
       OR recipient.state IN ('retrying', 'unknown') AND account.email NOT LIKE '%%@busy.example'
       OR recipient.state = 'held' AND (vetting_case.id IS NULL OR message.subject = ANY(%s))
"""
_SHIFT = """
    UPDATE recipient SET due_at = due_at - %s
    WHERE due_at IS NOT NULL AND state <> 'held'
"""
_EMPTY = "TRUNCATE inbox_letter, refused_send, case_decision, vetting_case, recipient, message CASCADE"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All evidence of a trial: messages by subject, recipients by message id, copies by (subject, address)."""

    schedule: Schedule
    run: str
    history: History
    messages: dict[str, list[dict[str, Any]]]
    recipients: dict[Any, list[dict[str, Any]]]
    copies: dict[tuple[str, str], list[Copy]] = field(default_factory=dict)


def gather(url: str, schedule: Schedule, run: str, *, history: History, copies: list[Copy]) -> Evidence:
    """Read everything about this trial."""
    messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    recipients: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    mails: dict[tuple[str, str], list[Copy]] = defaultdict(list)
    with connect(url, row_factory=dict_row) as db:
        for row in db.execute(_MESSAGES):
            messages[row["subject"]].append(row)
        for row in db.execute(_RECIPIENTS):
            recipients[row["message_id"]].append(row)
    for copy in copies:
        if copy.subject.startswith(f"{run} "):
            mails[copy.subject, copy.address].append(copy)
    return Evidence(schedule, run, history, messages, recipients, mails)


@dataclass(frozen=True, slots=True)
class Left:
    """Counts of recipients: not yet in their last state; of these, not only waiting for time to pass; and held."""

    unsettled: int
    moving: int
    held: int


def look(db: Connection[Any], schedule: Schedule, run: str) -> Left:
    """Count the recipients that are not yet in their last state."""
    decided = [
        subject(run, each.number) for each in schedule.messages if each.ending in {Ending.APPROVED, Ending.REJECTED}
    ]
    return Left(*db.execute(_UNSETTLED, (decided,)).fetchall()[0])


def let_pass(db: Connection[Any], duration: timedelta) -> int:
    """Bring due times and leases nearer by this duration, as its passing would; return how many rows that moved."""
    return db.execute(_SHIFT, (duration,)).rowcount


def empty(url: str) -> None:
    """Delete what an earlier trial has stored."""
    with connect(url, autocommit=True) as db:
        db.execute(_EMPTY)
