"""Tallies of the messages that reached addresses and accounts in the last hour, for those that get many.

An address stands here only as a keyed digest. Processes ask about a subject once it has got a tenth of its limit.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, text

from delivery.rules.recipient_limits import HOUR_S, Contacting, HourlyUse, admit

# In order, so that two processes with the same subjects wait for each other in one direction only.
_CREATE = text("""
    INSERT INTO tally (subject) SELECT subject FROM unnest(CAST(:subjects AS bytea[])) AS given (subject)
    ORDER BY subject ON CONFLICT DO NOTHING
""")
_LOCK = text("""
    SELECT subject, before, present,
           CAST(extract(epoch FROM ends_at - clock_timestamp()) AS double precision) AS left_s,
           CAST(greatest(0, extract(epoch FROM queued_until - clock_timestamp())) AS double precision) AS queued_s
    FROM tally WHERE subject = ANY(CAST(:subjects AS bytea[])) ORDER BY subject FOR UPDATE
""")
_WRITE = text("""
    UPDATE tally
    SET before = given.before, present = given.present,
        ends_at = clock_timestamp() + make_interval(secs => given.left_s),
        queued_until = clock_timestamp() + make_interval(secs => given.queued_s)
    FROM unnest(CAST(:subjects AS bytea[]), CAST(:befores AS integer[]), CAST(:presents AS integer[]),
                CAST(:left_s AS double precision[]), CAST(:queued_s AS double precision[]))
        AS given (subject, before, present, left_s, queued_s)
    WHERE tally.subject = given.subject
""")
_DELETE_ENDED = text("""
    DELETE FROM tally WHERE subject IN (
        SELECT subject FROM tally
        WHERE ends_at < clock_timestamp() - :kept AND queued_until < clock_timestamp() FOR UPDATE SKIP LOCKED
    )
""")


def take(db: Connection, contacting: Sequence[Contacting]) -> dict[int, timedelta]:
    """Count these recipients, and return how long those wait that have no room, by recipient.

    The caller commits before it contacts them. The transaction locks nothing but tallies, so callers wait briefly.
    """
    limits = {subject.key: subject.limit for each in contacting for subject in each.subjects}
    subjects = sorted(limits)
    db.execute(_CREATE, {"subjects": subjects})
    rows = db.execute(_LOCK, {"subjects": subjects}).all()
    tallies = {bytes(row.subject): HourlyUse(row.before, row.present, row.left_s, row.queued_s) for row in rows}
    for key, tally in tallies.items():
        tally.begin_window(limits[key])
    waits = admit(tallies, contacting)
    kept = [tallies[key] for key in subjects]
    values = {
        "subjects": subjects,
        "befores": [each.before for each in kept],
        "presents": [each.present for each in kept],
        "left_s": [each.left_s for each in kept],
        "queued_s": [each.queued_s for each in kept],
    }
    db.execute(_WRITE, values)
    return waits


def delete_ended(db: Connection) -> None:
    """Delete the tallies that count nothing any more."""
    db.execute(_DELETE_ENDED, {"kept": timedelta(seconds=2 * HOUR_S)})
