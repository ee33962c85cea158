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
        SELECT CAST(listed.id AS bigint) AS recipient_id, kind.*
        FROM unnest(
            CAST(:listed AS text[]), CAST(:befores AS text[]), CAST(:attempts AS smallint[]),
            CAST(:afters AS text[]), CAST(:channels AS text[]), CAST(:reasons AS text[]), CAST(:details AS text[]),
            CAST(:due_ins AS interval[]), CAST(:opens AS smallint[]), CAST(:goods AS smallint[])
        ) AS kind (listed, before, attempt, after, channel, reason, detail, due_in, opened, gained),
        unnest(string_to_array(kind.listed, ',')) AS listed (id)
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
    kinds: dict[tuple[object, ...], list[Move]] = {}
    for move in moves:
        kind = (move.before, move.attempt, move.after, move.channel, move.reason, move.detail, move.due_in)
        kinds.setdefault(kind, []).append(move)
    return set(db.execute(_RECORD, _values(moves, list(kinds.values()))).scalars().all())


def _values(moves: Sequence[Move], kinds: Sequence[Sequence[Move]]) -> dict[str, object]:
    """Write moves by kind: those of one kind differ in their recipients alone, and a batch has a handful of kinds."""
    first = [same[0] for same in kinds]
    return {
        # As one text each: an array costs Python many times as much to write, element by element.
        "recipient_ids": f"{{{','.join([str(move.recipient_id) for move in moves])}}}",
        "message_ids": f"{{{','.join({move.message_id.hex for move in moves})}}}",
        "listed": [",".join([str(move.recipient_id) for move in same]) for same in kinds],
        "befores": [str(move.before) for move in first],
        "attempts": [move.attempt for move in first],
        "afters": [str(move.after) for move in first],
        "channels": [move.channel and str(move.channel) for move in first],
        "reasons": [move.reason and str(move.reason) for move in first],
        "details": [move.detail for move in first],
        "due_ins": [move.due_in for move in first],
        "opens": [_gain(move, Weight.OPEN) for move in first],
        "goods": [_gain(move, Weight.GOOD) for move in first],
    }


def _gain(move: Move, weight: Weight) -> int:
    """Say by how much this move changes the number of recipients of this weight: -1, 0 or 1."""
    return (WEIGHTS[move.after] is weight) - (WEIGHTS[move.before] is weight)
