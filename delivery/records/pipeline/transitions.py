"""The one place where a recipient's state is written: moves, their inbox letters and the counters, in one statement."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

from delivery.rules.states import STATE_CLASSES, StateClass
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel, State

# PostgreSQL walks along an array to find a word in it, so that very many kinds would cost their square. Only `decide`
# comes near (quiet hours put everybody off by a time of his own), and it holds the locks of its messages already.
_KINDS_AT_ONCE = 1000

# Message rows are locked first and in the order of their ids, here and everywhere: two statements that touch the same
# messages and recipients can then wait for each other, but never both ways round. The comparison with the count makes
# PostgreSQL finish the locking before it touches the first recipient.
_RECORD = text(f"""
    WITH move AS (
        SELECT one.recipient_id, (CAST(:befores AS text[]))[kind] AS before,
            (CAST(:attempts AS smallint[]))[kind] AS attempt, (CAST(:afters AS text[]))[kind] AS after,
            (CAST(:channels AS text[]))[kind] AS channel, (CAST(:reasons AS text[]))[kind] AS reason,
            (CAST(:details AS text[]))[kind] AS detail, (CAST(:due_ins AS interval[]))[kind] AS due_in,
            (CAST(:opens AS smallint[]))[kind] AS opened, (CAST(:goods AS smallint[]))[kind] AS gained
        FROM unnest(CAST(:recipient_ids AS bigint[]), CAST(:kinds AS integer[])) AS one (recipient_id, kind)
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


def apply_transitions(db: Connection, moves: Sequence[Transition]) -> set[int]:
    """Make these moves, deliver the letters they bring to inboxes, and keep the messages' counters.

    Answers the ids of the recipients that moved. One that is missing was no longer where its move starts: somebody
    else has moved it since, and this writer is fenced out.
    """
    if not moves:
        return set()
    size = len(moves) if len(set(map(_kind, moves))) <= _KINDS_AT_ONCE else _KINDS_AT_ONCE
    portions = [moves[start : start + size] for start in range(0, len(moves), size)]
    return {moved for some in portions for moved in db.execute(_RECORD, _values(some)).scalars().all()}


def _values(moves: Sequence[Transition]) -> dict[str, object]:
    """Write moves by kind: those of one kind differ in their recipients alone, and a batch has a handful of kinds."""
    kinds: dict[tuple[object, ...], int] = {}
    numbers: list[int] = []
    first: list[Transition] = []
    for move in moves:
        number = kinds.setdefault(_kind(move), len(kinds) + 1)
        numbers.append(number)
        if number > len(first):
            first.append(move)
    return {
        # As one text each: an array costs Python many times as much to write, element by element. PostgreSQL still sees
        # how long it is; told of recipients by any other way it guessed too low and chose a plan ten times as slow.
        "recipient_ids": _array([str(move.recipient_id) for move in moves]),
        "kinds": _array(map(str, numbers)),
        "message_ids": _array({move.message_id.hex for move in moves}),
        "befores": [str(move.before) for move in first],
        "attempts": [move.attempt for move in first],
        "afters": [str(move.after) for move in first],
        "channels": [move.channel and str(move.channel) for move in first],
        "reasons": [move.reason and str(move.reason) for move in first],
        "details": [move.detail for move in first],
        "due_ins": [move.due_in for move in first],
        "opens": [_gain(move, StateClass.OPEN) for move in first],
        "goods": [_gain(move, StateClass.GOOD) for move in first],
    }


def _kind(move: Transition) -> tuple[object, ...]:
    return (move.before, move.attempt, move.after, move.channel, move.reason, move.detail, move.due_in)


def _array(numbers: Iterable[str]) -> str:
    return f"{{{','.join(numbers)}}}"


def _gain(move: Transition, weight: StateClass) -> int:
    """Say by how much this move changes the number of recipients of this weight: -1, 0 or 1."""
    return (STATE_CLASSES[move.after] is weight) - (STATE_CLASSES[move.before] is weight)
