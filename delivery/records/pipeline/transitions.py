"""Apply transitions: new states, inbox letters and the counters of the messages, in one statement.

Every change of a recipient's state is written here, except that `accept.py` inserts `accepted` and `claims.py` writes
`claimed`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.rules.states import STATE_CLASSES, StateClass
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel, State

# PostgreSQL walks along an array to find an element, so the cost grows with the square of the number of kinds. Only
# `decide` has many (each recipient in quiet hours has its own due time), and it has locked its messages already.
_KINDS_AT_ONCE = 1000
_NULL = "NULL"

# Every statement locks message rows first, in the order of their ids, so that two statements on the same messages and
# recipients wait for each other in one direction only. The comparison with the count makes PostgreSQL finish locking
# before it changes the first recipient.
_MOVE = f"""
    WITH move AS (
        SELECT one.recipient_id, (CAST(:befores AS text[]))[kind] AS before,
            (CAST(:attempts AS smallint[]))[kind] AS attempt, (CAST(:afters AS text[]))[kind] AS after,
            (CAST(:channels AS text[]))[kind] AS channel, (CAST(:reasons AS text[]))[kind] AS reason,
            (CAST(:details AS text[]))[kind] AS detail, (CAST(:due_ins AS interval[]))[kind] AS due_in,
            (CAST(:returneds AS smallint[]))[kind] AS returned,
            (CAST(:opens AS smallint[]))[kind] AS opened, (CAST(:goods AS smallint[]))[kind] AS gained
        FROM unnest(CAST(:recipient_ids AS bigint[]), CAST(:kinds AS integer[])) AS one (recipient_id, kind)
    ), locked AS MATERIALIZED (
        SELECT id FROM message WHERE id = ANY(CAST(:message_ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE
    ), moved AS (
        UPDATE recipient
        SET state = move.after, channel = coalesce(move.channel, recipient.channel), reason = move.reason,
            attempt = recipient.attempt - move.returned, detail = move.detail,
            due_at = clock_timestamp() + move.due_in, changed_at = clock_timestamp()
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
    )
"""
_RECORD = text(f"""
    {_MOVE}, tally AS (
        UPDATE message
        SET open_count = open_count + change.opened, good_count = good_count + change.gained,
            sent_at = CASE WHEN change.gained > 0 THEN coalesce(sent_at, clock_timestamp()) ELSE sent_at END
        FROM change
        WHERE message.id = change.message_id AND message.id = ANY(CAST(:message_ids AS uuid[]))
          AND (change.opened <> 0 OR change.gained <> 0)
    )
    SELECT id FROM moved
""")
# The same, with the decision about each message: each version of a row costs an entry in six indexes.
_DECIDE = text(f"""
    {_MOVE}, decision AS (
        SELECT * FROM unnest(
            CAST(:decided_ids AS uuid[]), CAST(:vetting_ids AS uuid[]), CAST(:rule_sets AS integer[]),
            CAST(:text_keys AS bigint[])
        ) AS decision (message_id, vetting_id, rule_set, text_key)
    ), tally AS (
        UPDATE message
        SET open_count = open_count + coalesce(change.opened, 0), good_count = good_count + coalesce(change.gained, 0),
            sent_at = CASE WHEN change.gained > 0 THEN coalesce(sent_at, clock_timestamp()) ELSE sent_at END,
            decided_at = clock_timestamp(), vetting_id = decision.vetting_id, rule_set = decision.rule_set,
            text_key = decision.text_key
        FROM decision LEFT JOIN change ON change.message_id = decision.message_id
        WHERE message.id = decision.message_id AND message.id = ANY(CAST(:decided_ids AS uuid[]))
    )
    SELECT id FROM moved
""")


@dataclass(frozen=True, slots=True)
class DecidedMessage:
    """What is recorded of a decided message. A held one has the id of its future vetting case."""

    message_id: UUID
    vetting_id: UUID | None = None
    rule_set: int | None = None
    text_key: int | None = None


def apply_transitions(db: Connection, transitions: Sequence[Transition]) -> set[int]:
    """Apply these transitions, insert the inbox letters that follow from them, and update the messages' counters.

    Returns the ids of the recipients that changed. A recipient is left out when its state or attempt is no longer the
    one that its transition starts from: another worker has changed it since, and the fence refuses this one.
    """
    return {changed for batch in _batches(transitions) for changed in db.execute(_RECORD, _values(batch)).scalars()}


def apply_decisions(db: Connection, decided: Sequence[DecidedMessage], transitions: Sequence[Transition]) -> None:
    """Record that these messages are decided, and apply the transitions of their recipients, as above."""
    first, *others = _batches(transitions) or [()]
    db.execute(_DECIDE, {**_values(first), **_decision_values(decided)})
    for batch in others:
        db.execute(_RECORD, _values(batch))


def _batches(transitions: Sequence[Transition]) -> list[Sequence[Transition]]:
    size = len(transitions) if len(set(map(_kind, transitions))) <= _KINDS_AT_ONCE else _KINDS_AT_ONCE
    return [transitions[start : start + size] for start in range(0, len(transitions), size or 1)]


def _decision_values(decided: Sequence[DecidedMessage]) -> dict[str, object]:
    return {
        "decided_ids": _array(each.message_id.hex for each in decided),
        "vetting_ids": _array(each.vetting_id.hex if each.vetting_id else _NULL for each in decided),
        "rule_sets": _array(_NULL if each.rule_set is None else str(each.rule_set) for each in decided),
        "text_keys": _array(_NULL if each.text_key is None else str(each.text_key) for each in decided),
    }


def _values(transitions: Sequence[Transition]) -> dict[str, object]:
    """Write transitions by kind. Those of one kind differ only in their recipients; most batches have few kinds."""
    kinds: dict[tuple[object, ...], int] = {}
    numbers: list[int] = []
    examples: list[Transition] = []
    for each in transitions:
        number = kinds.setdefault(_kind(each), len(kinds) + 1)
        numbers.append(number)
        if number > len(examples):
            examples.append(each)
    return {
        # One text for each array: writing one element by element costs Python many times as much. PostgreSQL still
        # knows its length; when it had to guess the number of recipients, it chose a plan ten times as slow.
        "recipient_ids": _array([str(each.recipient_id) for each in transitions]),
        "kinds": _array(map(str, numbers)),
        "message_ids": _array({each.message_id.hex for each in transitions}),
        "befores": [str(each.before) for each in examples],
        "attempts": [each.attempt for each in examples],
        "afters": [str(each.after) for each in examples],
        "channels": [each.channel and str(each.channel) for each in examples],
        "reasons": [each.reason and str(each.reason) for each in examples],
        "details": [each.detail for each in examples],
        "due_ins": [each.due_in for each in examples],
        "returneds": [int(not each.is_attempt) for each in examples],
        "opens": [_gain(each, StateClass.OPEN) for each in examples],
        "goods": [_gain(each, StateClass.GOOD) for each in examples],
    }


def _kind(transition: Transition) -> tuple[object, ...]:
    return (
        transition.before,
        transition.attempt,
        transition.after,
        transition.channel,
        transition.reason,
        transition.detail,
        transition.due_in,
        transition.is_attempt,
    )


def _array(elements: Iterable[str]) -> str:
    return f"{{{','.join(elements)}}}"


def _gain(transition: Transition, state_class: StateClass) -> int:
    """Return by how much a transition changes the number of recipients of this class: -1, 0 or 1."""
    return (STATE_CLASSES[transition.after] is state_class) - (STATE_CLASSES[transition.before] is state_class)
