"""The one place where a recipient's state is written: moves, their inbox letters and the counters, in one statement."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from delivery.rules.deciding import Move
from delivery.rules.moves import WEIGHTS, Weight
from delivery.vocabulary import Channel, State

# Message rows are locked first and in the order of their ids, here and everywhere: two statements that touch the same
# messages and recipients can then wait for each other, but never both ways round. The comparison with the count makes
# PostgreSQL finish the locking before it touches the first recipient.
_RECORD = text(f"""
    WITH move AS (
        SELECT * FROM unnest(
            CAST(:recipient_ids AS bigint[]), CAST(:befores AS text[]), CAST(:attempts AS smallint[]),
            CAST(:afters AS text[]), CAST(:channels AS text[]), CAST(:reasons AS text[]), CAST(:details AS text[]),
            CAST(:due_ins AS interval[]), CAST(:opens AS smallint[]), CAST(:goods AS smallint[])
        ) AS move (recipient_id, before, attempt, after, channel, reason, detail, due_in, opened, gained)
    ), locked AS MATERIALIZED (
        SELECT id FROM message WHERE id = ANY(CAST(:message_ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE
    ), moved AS (
        UPDATE recipient
        SET state = move.after, channel = coalesce(move.channel, recipient.channel), reason = move.reason,
            detail = move.detail, due_at = clock_timestamp() + move.due_in, changed_at = clock_timestamp()
        FROM move
        WHERE recipient.id = move.recipient_id AND recipient.id = ANY(CAST(:recipient_ids AS bigint[]))
          AND recipient.state = move.before AND recipient.attempt = move.attempt
          AND (SELECT count(*) FROM locked) > 0
        RETURNING recipient.id, recipient.message_id, recipient.account_id, recipient.state, recipient.channel,
                  move.opened, move.gained
    ), letter AS (
        INSERT INTO inbox_letter (recipient_id, account_id, message_id)
        SELECT id, account_id, message_id FROM moved
        WHERE state = '{State.DELIVERED}' AND channel = '{Channel.INBOX}'
    ), change AS (
        SELECT message_id, sum(opened) AS opened, sum(gained) AS gained FROM moved GROUP BY message_id
    ), tally AS (
        UPDATE message
        SET open_count = open_count + change.opened, good_count = good_count + change.gained,
            sent_at = CASE WHEN change.gained > 0 THEN coalesce(sent_at, clock_timestamp()) ELSE sent_at END
        FROM change
        WHERE message.id = change.message_id AND message.id = ANY(CAST(:message_ids AS uuid[]))
          AND (change.opened <> 0 OR change.gained <> 0)
    )
    SELECT id FROM moved
""")


def record(db: Connection, moves: Sequence[Move]) -> set[int]:
    """Make these moves, deliver the letters they bring to inboxes, and keep the messages' counters.

    Answers the ids of the recipients that moved. One that is missing was no longer where its move starts: somebody
    else has moved it since, and this writer is fenced out.
    """
    if not moves:
        return set()
    rows = db.execute(
        _RECORD,
        {
            "recipient_ids": [move.recipient_id for move in moves],
            "message_ids": list({move.message_id for move in moves}),
            "befores": [str(move.before) for move in moves],
            "attempts": [move.attempt for move in moves],
            "afters": [str(move.after) for move in moves],
            "channels": [move.channel and str(move.channel) for move in moves],
            "reasons": [move.reason and str(move.reason) for move in moves],
            "details": [move.detail for move in moves],
            "due_ins": [move.due_in for move in moves],
            "opens": [_gain(move, Weight.OPEN) for move in moves],
            "goods": [_gain(move, Weight.GOOD) for move in moves],
        },
    )
    return {row.id for row in rows}


def _gain(move: Move, weight: Weight) -> int:
    """Say by how much this move changes the number of recipients of this weight: -1, 0 or 1."""
    return (WEIGHTS[move.after] is weight) - (WEIGHTS[move.before] is weight)
