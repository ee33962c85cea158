"""Find rules that hold too much or fail, from their hits. Nothing is written while messages are decided."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.rules.rehearsal import REHEARSAL_CLIENTS
from delivery.rules.rule_alarms import YOUNG, AlarmKind, HeldShare, RuleAlarm, StoredSet, YoungRule, young_rules
from delivery.rules.simulated_recipients import SIMULATED
from delivery.vocabulary import CaseState

_NAME = "rules"
_NEWEST = 10_000
"""So many messages are looked at, the newest: a look at a busy day costs no more than one at a quiet hour."""
_FAILED_WITHIN = timedelta(hours=1)

_TAKE_TURN = text("""
    INSERT INTO rule_watch (name, checked_at) VALUES (:name, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET checked_at = clock_timestamp()
    WHERE rule_watch.checked_at <= clock_timestamp() - CAST(:pause AS interval)
    RETURNING name
""")
_SETS = text("""
    SELECT number, made_at, document, clock_timestamp() AS now FROM rule_set
    WHERE number >= coalesce((SELECT max(number) FROM rule_set WHERE made_at <= clock_timestamp() - :young), 0)
    ORDER BY number DESC
""")
_SHARE = text(f"""
    WITH judged AS MATERIALIZED (
        SELECT id, client_id, coalesce(sender_account_id::text, lower(sender_email), sender_name) AS sender, vetting_id
        FROM message
        WHERE id >= CAST(:first_id AS uuid) AND rule_set >= :first_set
          AND client_id <> ALL(CAST(:rehearsal AS uuid[]))
          AND NOT EXISTS (SELECT FROM recipient WHERE recipient.message_id = message.id
                          AND recipient.account_id = ANY(CAST(:simulated AS uuid[])))
        ORDER BY id DESC LIMIT {_NEWEST}
    ), held AS (
        SELECT judged.* FROM judged
        JOIN rule_hit ON rule_hit.message_id = judged.id AND rule_hit.rule = :rule AND version = :version
         AND mode = 'live'
        WHERE judged.vetting_id IS NOT NULL OR action = 'refuse'
    )
    SELECT (SELECT count(*) FROM judged) AS judged, count(*) AS held, count(DISTINCT (client_id, sender)) AS senders,
           count(*) FILTER (WHERE state = '{CaseState.REJECTED}') AS upheld,
           count(*) FILTER (WHERE state = '{CaseState.APPROVED}' AND released_with IS NULL) AS released
    FROM held LEFT JOIN vetting_case ON vetting_case.message_id = held.id
""")
_FAILED = text("""
    SELECT rule, version, count(*) AS hits FROM rule_hit
    WHERE has_failed AND hit_at >= clock_timestamp() - CAST(:within AS interval)
    GROUP BY rule, version ORDER BY rule, version
""")


def take_turn(db: Connection, pause: timedelta) -> bool:
    """Return whether this worker is the one to look now: no other has done so for `pause`."""
    return db.execute(_TAKE_TURN, {"name": _NAME, "pause": pause}).one_or_none() is not None


def alarms(db: Connection) -> list[RuleAlarm]:
    """Return the rules that an operator should look at now."""
    return [*_holding_too_much(db), *_failing(db)]


def _holding_too_much(db: Connection) -> Iterator[RuleAlarm]:
    rows = db.execute(_SETS, {"young": YOUNG}).all()
    if not rows:
        return
    sets = [StoredSet(row.number, row.made_at, row.document) for row in rows]
    for young in young_rules(sets, rows[0].now):
        share = share_of(db, young)
        if share.is_too_much:
            yield RuleAlarm(AlarmKind.HOLDS_TOO_MUCH, young.name, young.version, share)


def share_of(db: Connection, young: YoungRule) -> HeldShare:
    """Return which share of the messages this rule holds since it is what it is, of the newest 10,000."""
    values = {
        "first_id": _first_id(young.since),
        "first_set": young.first_set,
        "rule": young.name,
        "version": young.version,
        "simulated": list(SIMULATED),
        "rehearsal": list(REHEARSAL_CLIENTS),
    }
    row = db.execute(_SHARE, values).one()
    return HeldShare(row.judged, row.held, row.senders, row.upheld, row.released)


def _failing(db: Connection) -> Iterator[RuleAlarm]:
    for row in db.execute(_FAILED, {"within": _FAILED_WITHIN}):
        yield RuleAlarm(AlarmKind.FAILS, row.rule, row.version, HeldShare(0, row.hits, 0, 0, 0))


def _first_id(since: datetime) -> UUID:
    """Return the lowest id of a message that was made from then on: ids begin with their time (RFC 9562 5.7)."""
    return UUID(int=int(since.timestamp() * 1000) << 80)
