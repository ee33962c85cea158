"""Counts of open recipients by state and channel, for operators."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from delivery.records.schema_base import one_of
from delivery.rules.retry import PARKED
from delivery.rules.states import OPEN_STATES
from delivery.vocabulary import Channel, State

_OPEN_ROWS = text(f"""
    SELECT state, channel, count(*) AS recipients, min(message.created_at) AS oldest_at,
           count(*) FILTER (WHERE due_at <= clock_timestamp()) AS overdue, min(due_at) AS next_due_at,
           count(*) FILTER (WHERE due_at > clock_timestamp() + CAST(:far AS interval)) AS parked
    FROM recipient JOIN message ON message.id = recipient.message_id WHERE {one_of("state", OPEN_STATES)}
    GROUP BY state, channel ORDER BY state, channel
""")


@dataclass(frozen=True, slots=True)
class OpenRows:
    """Counts of the recipients in one open state on one channel; the channel is None before the decision.

    `oldest_at` is when the message of the oldest was accepted: an attempt does not make a recipient younger.
    """

    state: State
    channel: Channel | None
    recipients: int
    oldest_at: datetime
    overdue: int
    next_due_at: datetime
    parked: int = 0
    """How many of them are parked until an operator releases them."""


def open_rows(db: Connection) -> list[OpenRows]:
    """Return the counts of all open recipients, in the order of state and channel."""
    return [
        OpenRows(
            State(row.state),
            Channel(row.channel) if row.channel else None,
            row.recipients,
            row.oldest_at,
            row.overdue,
            row.next_due_at,
            row.parked,
        )
        for row in db.execute(_OPEN_ROWS, {"far": PARKED / 2})
    ]
