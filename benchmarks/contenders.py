"""Who takes part: how each is furnished, given its work, started, and judged afterwards."""

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
"""No message has a lesser id."""
_PROGRAMS = Path(sys.executable).parent

# Every recipient must be blocked exactly where its account is closed, and have a letter exactly where it is not; every
# message must have been concluded once, with the status that follows. What is older than the run is none of its work.
_JUDGE = """
    WITH closed AS MATERIALIZED (SELECT unnest(%(closed)s::uuid[]) AS account_id), judged AS (
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
        FROM judged GROUP BY message_id
    )
    SELECT count(*), coalesce(sum(recipients), 0), coalesce(sum(right_ones), 0),
        count(*) FILTER (WHERE status = CASE WHEN good > 0 THEN 'sent' ELSE 'rejected' END AND {settled_once}),
        (SELECT count(*) FROM inbox_letter WHERE message_id >= %(since)s), coalesce(sum(good), 0)
    FROM message JOIN wanted ON wanted.message_id = message.id
"""


class Contender(Protocol):
    """One that does the work. `list_name` is the list at the broker that its work waits in.

    `settled_once` is the SQL condition under which a message was concluded once (`good` is how many it can reach),
    `is_open` the one under which it is not concluded, `finished_at` the SQL question when the last outcome was written.
    """

    @property
    def name(self) -> str:
        """How tables call it."""

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
        """What its programs are told."""

    def commands(self) -> Sequence[Sequence[str]]:
        """Give the command lines of the programs that do the work."""

    def seed(self, population: Population) -> None:
        """Make its database, with every account in it."""

    def take_in(self, orders: Sequence[Order]) -> None:
        """Store messages."""

    def hand_over(self, orders: Sequence[Order]) -> None:
        """Tell the broker about messages that are stored."""


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
    """Look at everything that a run has left behind: all messages from the id `since` on."""
    question = _JUDGE.format(settled_once=contender.settled_once, inbox=inbox)
    asked = {"closed": list(population.closed_ids), "since": since}
    with psycopg.connect(contender.url) as db:
        messages, recipients, right, settled, letters, good = _row(db.execute(question, asked))
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
    """Say when a contender wrote its last outcome, in seconds since 1970; 0 when it wrote none."""
    return float(ask(contender, f"SELECT extract(epoch FROM ({contender.finished_at}))") or 0)  # noqa: S608 - our words


def count_open(contender: Contender, *, since: UUID = EVER) -> int:
    """Count the messages from this id on that are not concluded yet."""
    question = f"SELECT count(*) FROM message WHERE id >= %s AND {contender.is_open}"  # noqa: S608 - see above
    return int(ask(contender, question, (since,)))


def empty(contender: Contender) -> None:
    """Throw every message away and leave the database as it was."""
    with psycopg.connect(contender.url, autocommit=True) as db:
        db.execute("TRUNCATE inbox_letter, recipient, message CASCADE")
        db.execute("CHECKPOINT")


def analyze(contender: Contender) -> None:
    """Give the planner the statistics that autovacuum would give it, at the same moment for everybody."""
    with psycopg.connect(contender.url, autocommit=True) as db:
        db.execute("ANALYZE")
        db.execute("CHECKPOINT")


def ask(contender: Contender, question: str, values: Sequence[Any] = ()) -> Any:
    """Ask a contender's database for one value."""
    with psycopg.connect(contender.url) as db:
        return _row(db.execute(question, values))[0]


def drop(servers: BenchmarkServers, contender: Contender) -> None:
    """Throw a contender's database away."""
    with psycopg.connect(contender.url) as db:
        name = db.info.dbname
    with psycopg.connect(servers.postgres.url, autocommit=True) as db:
        db.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def program(name: str, *arguments: str) -> tuple[str, ...]:
    """Write the command line of a program of this environment."""
    return (str(_PROGRAMS / name), *arguments)


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """Write the command line of a module."""
    return (sys.executable, "-m", name, *arguments)


def _row(asked: "psycopg.Cursor[Any]") -> Sequence[Any]:
    row = asked.fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return tuple(row)
