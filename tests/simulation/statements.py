"""The SQL by which the simulation reads a database and lets time pass in it."""

from sqlalchemy import text

EMPTY = text("""
    DELETE FROM inbox_letter; DELETE FROM case_decision; DELETE FROM vetting_case;
    DELETE FROM recipient; DELETE FROM message; DELETE FROM worker
""")
ADVANCE_CLOCK = text("""
    WITH due AS (UPDATE recipient SET due_at = due_at - :passed WHERE due_at IS NOT NULL)
    UPDATE vetting_case SET expires_at = expires_at - :passed
""")
# The wall clock gains less than a tick between two reads, so each wait can be rounded up to the whole tick it was.
ROUND_TO_TICKS = text("""
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now), asleep AS (
        UPDATE preference
        SET quiet_from = CAST(moment.now - INTERVAL '1 hour' AS time),
            quiet_until = CAST(moment.now + INTERVAL '2 hours' AS time)
        FROM moment WHERE quiet_from IS NOT NULL
    ), due AS (
        UPDATE recipient
        SET due_at = moment.now + ceil(extract(epoch FROM due_at - moment.now) / :tick_s) * CAST(:tick AS interval)
        FROM moment WHERE due_at IS NOT NULL
    )
    UPDATE vetting_case
    SET expires_at = moment.now + ceil(extract(epoch FROM expires_at - moment.now) / :tick_s) * CAST(:tick AS interval)
    FROM moment
""")
NEW_RECIPIENTS = text("""
    SELECT id FROM recipient WHERE message_id = ANY(CAST(:message_ids AS uuid[])) ORDER BY message_id, position
""")
ROWS = text("SELECT *, due_at - clock_timestamp() AS due_in FROM recipient")
MESSAGES = text("""
    SELECT message.*, vetting_case.state AS case_state, vetting_case.expires_at - clock_timestamp() AS expires_in
    FROM message LEFT JOIN vetting_case ON vetting_case.message_id = message.id
""")
LETTERS = text("SELECT recipient_id, count(*) AS letters FROM inbox_letter GROUP BY recipient_id")
