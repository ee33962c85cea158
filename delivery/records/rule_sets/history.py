"""What tables say about the time before a message: facts about its sender, the pair, and repetitions.

Every fact counts what was there before the message, so that it comes out the same whenever it is asked for.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.detection.facts import UNKNOWN, FactValue
from delivery.vocabulary import CaseState, Reason

_LEAST_KNOWN = f"coalesce(each.pair_days, {UNKNOWN}), each.replies, each.wrote"
_LOOK_BACK = 300
"""How many of a sender's newest messages are looked at. A statement for one message reads at most so many."""

# A sender is its attested account or, without one, the claimed address. What an address is good for is never
# believed: of it only counts that speak against the sender are used (`_facts`).
_HISTORY = text(f"""
    SELECT message.id, message.sender_account_id IS NOT NULL AS is_attested, sender.*, pair.*, same.*
    FROM message
    JOIN unnest(CAST(:message_ids AS uuid[]), CAST(:text_keys AS bigint[])) AS text_keys (id, text_key)
      ON text_keys.id = message.id
    CROSS JOIN LATERAL (
        SELECT array_agg(earlier.id) AS ids, count(*) AS messages, min(earlier.created_at) AS first_at,
               extract(day FROM message.created_at - min(earlier.created_at))::int AS days,
               count(*) FILTER (WHERE earlier.is_refused) AS refused,
               count(*) FILTER (WHERE earlier.is_released) AS released
        FROM (
            SELECT one.id, one.created_at,
                   reviewed.state IS NOT DISTINCT FROM '{CaseState.REJECTED}'
                   OR EXISTS (SELECT FROM recipient WHERE recipient.message_id = one.id
                              AND recipient.reason = '{Reason.REFUSED_BY_RULE}') AS is_refused,
                   reviewed.state IS NOT DISTINCT FROM '{CaseState.APPROVED}' AND reviewed.released_with IS NULL
                   AS is_released
            FROM (
                (SELECT id, created_at FROM message AS own
                 WHERE own.sender_account_id = message.sender_account_id AND own.id < message.id
                 ORDER BY own.id DESC LIMIT {_LOOK_BACK})
                UNION ALL
                (SELECT id, created_at FROM message AS own
                 WHERE message.sender_account_id IS NULL AND own.client_id = message.client_id
                   AND lower(own.sender_email) = lower(message.sender_email) AND own.id < message.id
                 ORDER BY own.id DESC LIMIT {_LOOK_BACK})
            ) AS one
            LEFT JOIN vetting_case AS reviewed
              ON reviewed.message_id = one.id AND reviewed.decided_at < message.created_at
        ) AS earlier
    ) AS sender
    CROSS JOIN LATERAL (
        SELECT min(coalesce(each.pair_days, {UNKNOWN})) AS pair_days,
               (array_agg(each.wrote ORDER BY {_LEAST_KNOWN}))[1] AS wrote,
               (array_agg(each.replies ORDER BY {_LEAST_KNOWN}))[1] AS replies,
               count(*) FILTER (WHERE each.pair_days IS NULL) AS unknown_recipients
        FROM (
            SELECT wrote.count AS wrote, replies.count AS replies,
                   extract(day FROM message.created_at - least(wrote.first_at, replies.first_at))::int AS pair_days
            FROM recipient
            CROSS JOIN LATERAL (
                SELECT count(*), min(own.created_at) AS first_at
                FROM unnest(sender.ids) AS earlier (id)
                JOIN recipient AS reached
                  ON reached.message_id = earlier.id AND reached.account_id = recipient.account_id
                JOIN message AS own ON own.id = earlier.id
            ) AS wrote
            CROSS JOIN LATERAL (
                SELECT count(*), min(reply.created_at) AS first_at
                FROM (
                    SELECT id, created_at FROM message AS one
                    WHERE one.sender_account_id = recipient.account_id AND one.id < message.id
                    ORDER BY one.id DESC LIMIT {_LOOK_BACK}
                ) AS reply
                JOIN recipient AS reached ON reached.message_id = reply.id
                 AND reached.account_id = message.sender_account_id
            ) AS replies
            WHERE recipient.message_id = message.id
        ) AS each
    ) AS pair
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE same.is_own) AS by_sender, count(*) FILTER (WHERE NOT same.is_own) AS by_others
        FROM (
            SELECT coalesce(one.sender_account_id = message.sender_account_id,
                            one.client_id = message.client_id AND lower(one.sender_email) = lower(message.sender_email),
                            false) AS is_own
            FROM message AS one
            WHERE one.text_key = text_keys.text_key AND one.id < message.id
              AND one.created_at BETWEEN message.created_at - interval '1 day' AND message.created_at
            LIMIT {_LOOK_BACK}
        ) AS same
    ) AS same
    WHERE message.id = ANY(CAST(:message_ids AS uuid[]))
""")


def histories(db: Connection, text_keys: Mapping[UUID, int]) -> dict[UUID, dict[str, FactValue]]:
    """Return the facts of history of these messages, each given with the key of its text (`text_key`)."""
    if not text_keys:
        return {}
    values = {"message_ids": list(text_keys), "text_keys": list(text_keys.values())}
    return {row.id: _facts(row) for row in db.execute(_HISTORY, values)}


def _facts(row: Row[tuple[object, ...]]) -> dict[str, FactValue]:
    is_known = row.is_attested and row.pair_days >= 0
    return {
        "sender.messages": row.messages,
        "sender.refused": row.refused,
        "sender.released": row.released if row.is_attested else 0,
        "sender.reports": UNKNOWN,
        "sender.days": (row.days or 0) if row.is_attested else 0,
        "sender.is_new": row.messages == 0,
        "pair.days": row.pair_days if is_known else UNKNOWN,
        "pair.wrote": row.wrote if row.is_attested else 0,
        "pair.replies": row.replies if row.is_attested else UNKNOWN,
        "pair.unknown_recipients": row.unknown_recipients,
        "pair.is_first": not is_known,
        "repetition.by_sender": row.by_sender,
        "repetition.by_others": row.by_others,
    }
