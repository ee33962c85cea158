"""Invariants: what must hold for all rows after every commit, each with a query for the rows that violate it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from delivery.records.decision_tables import PENDING
from delivery.records.schema_base import one_of
from delivery.rules.retry import SCHEDULE
from delivery.rules.states import OPEN_STATES, STATE_CLASSES, WAITING_STATES, StateClass
from delivery.vocabulary import CaseState, Channel, Reason, State

_RECENT = timedelta(days=1)
_RECENT_RECIPIENTS = 100_000
_GOOD = one_of("recipient.state", [state for state, kind in STATE_CLASSES.items() if kind is StateClass.GOOD])
_IS_OPEN = one_of("recipient.state", OPEN_STATES)
# Each state by its own partial index (records/schema.py). One condition on all states would use none of them.
_OPEN_ROWS = " UNION ALL ".join(
    f"SELECT message_id FROM recipient WHERE {one_of('state', states)}"
    for states in ([State.ACCEPTED], [State.HELD], WAITING_STATES, [State.CLAIMED])
)
# Message ids begin with the time at which they were made, so the primary key finds the recent ones. Ids that a client
# made itself may not begin so: only `--all` checks all of those.
_SCOPE = f"SELECT id FROM message WHERE id >= CAST(:since AS uuid) UNION SELECT message_id FROM ({_OPEN_ROWS}) AS open"
_ROWS = f"recipient JOIN ({_SCOPE}) AS scope ON scope.id = recipient.message_id"
_NAME = "recipient.message_id || ' (recipient ' || recipient.id || ')'"
_LATE = "clock_timestamp() - CAST(:patience AS interval)"


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that must hold, what to do if it does not, and the query for the rows that violate it."""

    name: str
    advice: str
    question: str
    is_about_stuck_work: bool = False


@dataclass(frozen=True, slots=True)
class CheckScope:
    """What to check: all messages, or only open and recent ones."""

    is_everything: bool = False
    patience: timedelta = timedelta(minutes=10)
    """How late work may be before it counts as stuck."""
    limit: int = 10
    """How many of the rows at fault are named."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The result of one invariant: how many rows violate it, and the names of the first of them.

    `count` is None when the query failed or took too long.
    """

    invariant: Invariant
    count: int | None
    rows: tuple[str, ...] = ()


_REPAIR = "No step of Postroom causes this. Keep the rows, check for other writers or a damaged disk, and report it."
_LOOK = "Run `postroom why MESSAGE` and read the log of the worker."

INVARIANTS = (
    Invariant(
        "counters, status and time of sending agree with the recipients",
        _REPAIR,
        f"""
        SELECT message.id::text AS name FROM message JOIN ({_SCOPE}) AS scope ON scope.id = message.id
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE {_IS_OPEN}) AS open, count(*) FILTER (WHERE {_GOOD}) AS good
            FROM recipient WHERE recipient.message_id = message.id
        ) AS actual
        WHERE (open_count, good_count) <> (actual.open, actual.good)
           OR status <> CASE WHEN actual.good > 0 THEN 'sent' WHEN actual.open > 0 THEN 'pending' ELSE 'rejected' END
           OR (sent_at IS NOT NULL) <> (actual.good > 0)
        """,
    ),
    Invariant(
        "every message has a recipient",
        _REPAIR,
        f"""
        SELECT message.id::text AS name FROM message JOIN ({_SCOPE}) AS scope ON scope.id = message.id
        WHERE NOT EXISTS (SELECT FROM recipient WHERE recipient.message_id = message.id)
        """,
    ),
    Invariant(
        "every recipient has its message and its account",
        _REPAIR,
        f"""
        SELECT {_NAME} AS name FROM recipient
        LEFT JOIN message ON message.id = recipient.message_id LEFT JOIN account ON account.id = recipient.account_id
        WHERE recipient.id > :after AND (message.id IS NULL OR account.id IS NULL)
        """,
    ),
    Invariant(
        "every open recipient has a due time",
        _REPAIR,
        f"SELECT {_NAME} AS name FROM {_ROWS} WHERE {_IS_OPEN} AND due_at IS NULL",
    ),
    Invariant(
        "no settled recipient has a due time",
        _REPAIR,
        f"SELECT {_NAME} AS name FROM {_ROWS} WHERE NOT ({_IS_OPEN}) AND due_at IS NOT NULL",
    ),
    Invariant(
        "an inbox has a letter exactly where a recipient was delivered there",
        _REPAIR,
        f"""
        SELECT {_NAME} AS name FROM recipient
        WHERE recipient.id > :after AND state = '{State.DELIVERED}' AND channel = '{Channel.INBOX}'
          AND NOT EXISTS (SELECT FROM inbox_letter WHERE inbox_letter.recipient_id = recipient.id
                          AND (inbox_letter.account_id, inbox_letter.message_id)
                              = (recipient.account_id, recipient.message_id))
        UNION ALL
        SELECT letter.message_id || ' (recipient ' || letter.recipient_id || ')' FROM inbox_letter AS letter
        WHERE letter.recipient_id > :after
          AND NOT EXISTS (SELECT FROM recipient WHERE recipient.id = letter.recipient_id
                          AND state = '{State.DELIVERED}' AND channel = '{Channel.INBOX}')
        """,
    ),
    Invariant(
        "no recipient waits long past its due time",
        _LOOK,
        f"""
        SELECT {_NAME} AS name FROM recipient WHERE {one_of("state", [State.ACCEPTED])} AND due_at < {_LATE}
        UNION ALL
        SELECT {_NAME} FROM recipient WHERE {one_of("state", [State.HELD])} AND due_at < {_LATE}
        UNION ALL
        SELECT {_NAME} FROM recipient WHERE {one_of("state", WAITING_STATES)} AND due_at < {_LATE}
        """,
        is_about_stuck_work=True,
    ),
    Invariant(
        "no attempt is under way long past its lease",
        _LOOK,
        f"SELECT {_NAME} AS name FROM recipient WHERE {one_of('state', [State.CLAIMED])} AND due_at < {_LATE}",
        is_about_stuck_work=True,
    ),
    Invariant(
        "every held message has its vetting case, or will have it soon",
        "The step `vet` opens cases. Check with `postroom queues` and the logs that a decide worker is running.",
        f"""
        SELECT DISTINCT recipient.message_id::text AS name FROM recipient
        WHERE {one_of("state", [State.HELD])} AND changed_at < {_LATE}
          AND NOT EXISTS (SELECT FROM vetting_case WHERE vetting_case.message_id = recipient.message_id)
        """,
        is_about_stuck_work=True,
    ),
    Invariant(
        "no message with a decided case has a held recipient",
        _REPAIR,
        f"""
        SELECT DISTINCT recipient.message_id::text AS name FROM recipient
        JOIN vetting_case ON vetting_case.message_id = recipient.message_id
        WHERE {one_of("recipient.state", [State.HELD])}
          AND NOT ({one_of("vetting_case.state", [CaseState.OPEN, CaseState.DECIDED])})
        """,
    ),
    Invariant(
        "a case is decided exactly while one decision about it waits for its pause",
        _REPAIR,
        f"""
        SELECT vetting_case.message_id::text AS name FROM vetting_case
        LEFT JOIN case_decision ON case_decision.case_id = vetting_case.id AND {PENDING}
        WHERE ({one_of("vetting_case.state", [CaseState.DECIDED])}) <> (case_decision.id IS NOT NULL)
        """,
    ),
    Invariant(
        "every idempotency key belongs to one message",
        "The unique index on the keys is broken. REINDEX it, and find out which of the messages the client knows.",
        """
        SELECT min(message.id::text) AS name FROM message
        WHERE id >= CAST(:since AS uuid) AND idempotency_key IS NOT NULL
        GROUP BY client_id, idempotency_key HAVING count(*) > 1
        """,
    ),
    Invariant(
        "no recipient waits for more attempts than the schedule has",
        _REPAIR,
        f"""
        SELECT {_NAME} AS name FROM recipient
        WHERE {one_of("state", WAITING_STATES)} AND attempt > {len(SCHEDULE)}
          AND {one_of("reason", [Reason.TRY_LATER, Reason.INTERRUPTED])}
        """,
    ),
)

_BOUNDED = "WITH fault AS ({}) SELECT name, count(*) OVER () AS total FROM fault ORDER BY name LIMIT :limit"
# In the form of a UUIDv7, which begins with 48 bits of milliseconds.
_SINCE = text("""
    SELECT CASE WHEN CAST(:is_everything AS boolean) THEN repeat('0', 32)
                ELSE lpad(to_hex(CAST(recent.began_ms AS bigint)), 12, '0') || repeat('0', 20)
           END AS since,
           CASE WHEN CAST(:is_everything AS boolean) THEN 0
                ELSE greatest(0, coalesce((SELECT max(id) FROM recipient), 0) - CAST(:recipients AS bigint))
           END AS after
    FROM (SELECT extract(epoch FROM clock_timestamp() - CAST(:recent AS interval)) * 1000 AS began_ms) AS recent
""")


def ask(db: Connection, scope: CheckScope) -> Iterator[Violation]:
    """Check all invariants and yield the result of each, in the snapshot of this transaction (`database.snapshot`).

    Raises `DBAPIError` when the connection is lost.
    """
    values = _values(db, scope)
    for each in INVARIANTS:
        try:
            with db.begin_nested():
                rows = db.execute(text(_BOUNDED.format(each.question)), values).all()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            yield Violation(each, None)
        else:
            yield Violation(each, rows[0].total if rows else 0, tuple(row.name for row in rows))


def _values(db: Connection, scope: CheckScope) -> dict[str, object]:
    limits = {"is_everything": scope.is_everything, "recent": _RECENT, "recipients": _RECENT_RECIPIENTS}
    start = db.execute(_SINCE, limits).one()
    return {"since": start.since, "after": start.after, "patience": scope.patience, "limit": scope.limit}
