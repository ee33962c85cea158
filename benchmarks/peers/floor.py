"""The floor: a hand-written loop on bare psycopg. Two hundred messages at once, four statements, one commit.

It takes ids off a list, so a crash loses them. It has no channel but the inbox, no vetting, no retry, no fences and no
second reader. What is left is what the database itself costs.
"""

import os
import signal
import sys
from typing import Any

import psycopg
import redis

_AT_ONCE = 200
_LIST = "floor"
_READ = """
    SELECT recipient.id, preference.is_closed
    FROM recipient JOIN preference ON preference.account_id = recipient.account_id
    WHERE recipient.message_id = ANY(%s)
"""
_WRITE = """
    UPDATE recipient SET state = CASE WHEN id = ANY(%s) THEN 'blocked' ELSE 'delivered' END,
        reason = CASE WHEN id = ANY(%s) THEN 'closed_to_everybody' END
    WHERE id = ANY(%s)
"""
_LETTERS = """
    INSERT INTO inbox_letter (recipient_id, account_id, message_id)
    SELECT id, account_id, message_id FROM recipient WHERE message_id = ANY(%s) AND state = 'delivered'
"""
_CONCLUDE = """
    UPDATE message SET open_count = 0, good_count = good.number, settled_count = settled_count + 1,
        status = CASE WHEN good.number > 0 THEN 'sent' ELSE 'rejected' END, settled_at = clock_timestamp()
    FROM (SELECT message_id, count(*) FILTER (WHERE state = 'delivered') AS number
          FROM recipient WHERE message_id = ANY(%s) GROUP BY message_id) AS good
    WHERE message.id = good.message_id AND message.id = ANY(%s)
"""


def main() -> None:
    """Process the list until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    broker = redis.Redis.from_url(os.environ["REDIS_URL"])  # noqa: TID251 - peers have no settings of ours
    with psycopg.connect(os.environ["DATABASE_URL"]) as db:  # noqa: TID251 - see above
        while True:
            first: Any = broker.brpop([_LIST], timeout=0)
            more: Any = broker.rpop(_LIST, _AT_ONCE - 1) or []
            deliver(db, [each.decode() for each in (first[1], *more)])


def deliver(db: "psycopg.Connection[Any]", message_ids: list[str]) -> None:
    """Deliver these messages."""
    rows = db.execute(_READ, (message_ids,)).fetchall()
    blocked = [recipient_id for recipient_id, is_closed in rows if is_closed]
    db.execute(_WRITE, (blocked, blocked, [recipient_id for recipient_id, _ in rows]))
    db.execute(_LETTERS, (message_ids,))
    db.execute(_CONCLUDE, (message_ids, message_ids))
    db.commit()


if __name__ == "__main__":
    main()
