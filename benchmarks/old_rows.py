"""A database with a past: messages of the year before that were settled long ago, written by set-based SQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg

from benchmarks.population import BODY, Population
from delivery.vocabulary import Channel, MessageType, Reason, State

RECIPIENTS = 25
_PORTION = 20_000
_AT_ONCE = 2
_YEAR_MS = int(timedelta(days=365) / timedelta(milliseconds=1))

# Accounts by number, so that the recipients of a message follow from its number by arithmetic, all different.
_NUMBER = """
    CREATE UNLOGGED TABLE numbered AS
    SELECT row_number() OVER (ORDER BY account.id) - 1 AS number, account.id, coalesce(is_closed, false) AS is_closed
    FROM account LEFT JOIN preference ON preference.account_id = account.id
"""
# The ids are as `uuid7` would have made them then: they begin with the time, in milliseconds.
_FILL = f"""
    WITH old AS MATERIALIZED (
        SELECT number, made_at, CAST(lpad(to_hex(CAST(extract(epoch FROM made_at) * 1000 AS bigint)), 12, '0') || '7'
            || substr(md5(CAST(number AS text)), 1, 3) || '8' || substr(md5(CAST(number AS text)), 4, 15) AS uuid) AS id
        FROM generate_series(%(start)s, %(stop)s - 1) AS number,
            LATERAL (SELECT CAST(%(first)s AS timestamptz) + number * CAST(%(step)s AS interval)) AS at (made_at)
    ), listed AS (
        INSERT INTO recipient (message_id, account_id, position, state, channel, reason, changed_at)
        SELECT old.id, numbered.id, position,
            CASE WHEN is_closed THEN '{State.BLOCKED}' ELSE '{State.DELIVERED}' END,
            CASE WHEN NOT is_closed THEN '{Channel.INBOX}' END,
            CASE WHEN is_closed THEN '{Reason.CLOSED_TO_EVERYBODY}' END, made_at + interval '1 second'
        FROM old CROSS JOIN generate_series(0, %(recipients)s - 1) AS position
        JOIN numbered ON numbered.number = (CAST(old.number AS bigint) * 7919 + position * %(stride)s) %% %(accounts)s
        ORDER BY old.number, position
        RETURNING id, message_id, account_id, state, changed_at
    ), stored AS (
        INSERT INTO message (id, client_id, sender_name, sender_email, subject, body, type, created_at, decided_at,
                             sent_at, open_count, good_count)
        SELECT old.id, %(client)s, 'Ada Lovelace', 'ada@example.com', 'A translation', %(body)s, '{MessageType.JOB}',
            made_at, changed_at, CASE WHEN good > 0 THEN changed_at END, 0, good
        FROM old JOIN (
            SELECT message_id, max(changed_at) AS changed_at,
                count(*) FILTER (WHERE state = '{State.DELIVERED}') AS good
            FROM listed GROUP BY message_id
        ) AS tally ON tally.message_id = old.id
    )
    INSERT INTO inbox_letter (recipient_id, account_id, message_id, delivered_at)
    SELECT id, account_id, message_id, changed_at FROM listed WHERE state = '{State.DELIVERED}'
"""  # noqa: S608 - our words
# Its order is by account, so rows would be inserted at random places: it is built once afterwards.
_INDEX = "inbox_letter_account_id_delivered_at_recipient_id_idx"


def fill(url: str, population: Population, messages: int, *, tell: Callable[[str], None]) -> None:
    """Store so many messages to 25 recipients each, delivered and blocked as they should be, and report progress.

    Afterwards the tables are vacuumed, so that autovacuum has nothing to do during a run.
    """
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP TABLE IF EXISTS numbered")
        db.execute(_NUMBER)
        definition = db.execute("SELECT pg_get_indexdef(CAST(%s AS regclass))", (_INDEX,)).fetchone()
        db.execute(f"DROP INDEX {_INDEX}")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for done in pool.map(lambda portion: _write(url, portion), _portions(db, population, messages)):
                tell(f"{done * RECIPIENTS:,} old recipients")
        db.execute("SET maintenance_work_mem = '512MB'")
        db.execute(str(definition and definition[0]))
        db.execute("DROP TABLE numbered")
        db.execute("VACUUM (FREEZE, ANALYZE)")
        db.execute("CHECKPOINT")


def _portions(db: "psycopg.Connection", population: Population, messages: int) -> Iterator[dict[str, object]]:
    began = db.execute("SELECT now() - interval '366 days'").fetchone()
    accounts = len(population.account_ids)
    for start in range(0, messages, _PORTION):
        yield {
            "start": start,
            "stop": min(start + _PORTION, messages),
            "first": began and began[0],
            "step": timedelta(milliseconds=_YEAR_MS // messages),
            "recipients": RECIPIENTS,
            "stride": accounts // RECIPIENTS,
            "accounts": accounts,
            "client": population.client_id,
            "body": BODY,
        }


def _write(url: str, portion: dict[str, object]) -> int:
    with psycopg.connect(url) as db:
        db.execute(_FILL, portion)
    return int(str(portion["stop"]))
