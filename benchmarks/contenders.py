"""Contenders: how each is seeded, given its work, started, and verified afterwards."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import psycopg

from benchmarks.population import Order, Population
from benchmarks.processes import BenchmarkServers

EVER = UUID(int=0)
"""No message has a smaller id."""
_PROGRAMS = Path(sys.executable).parent

# Every recipient must be blocked exactly where its account is closed, and have a letter exactly where it is not. Every
# message must be settled once, with the status that follows. Messages older than the run are not checked.
_VERIFY = """
    WITH closed AS MATERIALIZED (SELECT unnest(%(closed)s::uuid[]) AS account_id), checked AS (
        SELECT recipient.message_id, recipient.state, closed.account_id IS NULL AS is_open,
               letter.recipient_id IS NOT NULL AS has_letter
        FROM recipient LEFT JOIN closed ON closed.account_id = recipient.account_id
        LEFT JOIN inbox_letter AS letter ON letter.recipient_id = recipient.id
            AND letter.account_id = recipient.account_id AND letter.message_id = recipient.message_id
        WHERE recipient.message_id >= %(since)s
    ), wanted AS (
        SELECT message_id, count(*) AS recipients, count(*) FILTER (WHERE is_open) AS good,
            count(*) FILTER (WHERE has_letter = (is_open AND {inbox})
                AND state = CASE WHEN is_open THEN 'delivered' ELSE 'blocked' END) AS right_ones
        FROM checked GROUP BY message_id
    )
    SELECT count(*), coalesce(sum(recipients), 0), coalesce(sum(right_ones), 0),
        count(*) FILTER (WHERE status = CASE WHEN good > 0 THEN 'sent' ELSE 'rejected' END AND {settled_once}),
        (SELECT count(*) FROM inbox_letter WHERE message_id >= %(since)s), coalesce(sum(good), 0)
    FROM message JOIN wanted ON wanted.message_id = message.id
"""


class Contender(Protocol):
    """A system that is measured. `list_name` is the list at the broker that its work waits in.

    `settled_once` is the SQL condition under which a message was settled once (`good` is how many it can reach),
    `is_open` the one under which it is not settled, `finished_at` the SQL query for the time of the last outcome.
    """

    @property
    def name(self) -> str:
        """Its name in tables."""

    @property
    def list_name(self) -> str:
        """See above."""

    @property
    def settled_once(self) -> str:
        """See above."""

    @property
    def is_open(self) -> str:
        """See above."""

    @property
    def finished_at(self) -> str:
        """See above."""

    @property
    def url(self) -> str:
        """Its own database."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its programs."""

    def commands(self) -> Sequence[Sequence[str]]:
        """Return the command lines of the programs that do the work."""

    def seed(self, population: Population) -> None:
        """Make its database with all accounts."""

    def take_in(self, orders: Sequence[Order]) -> None:
        """Store messages."""

    def hand_over(self, orders: Sequence[Order]) -> None:
        """Publish messages that are stored to the broker."""


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """What is wrong with a run, if anything, and when it ended (seconds since 1970)."""

    fault: str | None
    finished_at: float


def verify(
    contender: Contender,
    population: Population,
    orders: Sequence[Order],
    *,
    inbox: bool = True,
    since: UUID = EVER,
) -> RunVerdict:
    """Check everything that a run has stored: all messages from the id `since` on."""
    query = _VERIFY.format(settled_once=contender.settled_once, inbox=inbox)
    values = {"closed": list(population.closed_ids), "since": since}
    with psycopg.connect(contender.url) as db:
        messages, recipients, right, settled, letters, good = _row(db.execute(query, values))
    wanted = sum(len(order.account_ids) for order in orders)
    seen = {
        "messages": (messages, len(orders)),
        "recipients": (recipients, wanted),
        "outcomes": (right, wanted),
        "statuses": (settled, len(orders)),
        "letters": (letters, good if inbox else 0),
    }
    faults = [f"{name}: {found} of {expected}" for name, (found, expected) in seen.items() if found != expected]
    return RunVerdict(", ".join(faults) or None, finished_at(contender))


def finished_at(contender: Contender) -> float:
    """Return when a contender wrote its last outcome, in seconds since 1970; 0 when it wrote none."""
    return float(ask(contender, f"SELECT extract(epoch FROM ({contender.finished_at}))") or 0)  # noqa: S608 - our words


def count_open(contender: Contender, *, since: UUID = EVER) -> int:
    """Count the messages from this id on that are not settled yet."""
    query = f"SELECT count(*) FROM message WHERE id >= %s AND {contender.is_open}"  # noqa: S608 - see above
    return int(ask(contender, query, (since,)))


def empty(contender: Contender) -> None:
    """Delete every message."""
    with psycopg.connect(contender.url, autocommit=True) as db:
        db.execute("TRUNCATE inbox_letter, recipient, message CASCADE")
        db.execute("CHECKPOINT")


def analyze(contender: Contender) -> None:
    """Update the statistics of the planner, at the same moment for every contender; autovacuum would do it at any."""
    with psycopg.connect(contender.url, autocommit=True) as db:
        db.execute("ANALYZE")
        db.execute("CHECKPOINT")


def ask(contender: Contender, query: str, values: Sequence[Any] = ()) -> Any:
    """Read one value from a contender's database."""
    with psycopg.connect(contender.url) as db:
        return _row(db.execute(query, values))[0]


def drop(servers: BenchmarkServers, contender: Contender) -> None:
    """Delete a contender's database."""
    with psycopg.connect(contender.url) as db:
        name = db.info.dbname
    with psycopg.connect(servers.postgres.url, autocommit=True) as db:
        db.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def program(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line of a program of this virtual environment."""
    return (str(_PROGRAMS / name), *arguments)


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line of a module."""
    return (sys.executable, "-m", name, *arguments)


def _row(cursor: "psycopg.Cursor[Any]") -> Sequence[Any]:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return tuple(row)
