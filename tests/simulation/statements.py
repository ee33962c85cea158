"""How the machine looks at a database, and lets time pass in it."""

from sqlalchemy import text

EMPTY = text("""
    DELETE FROM inbox_letter; DELETE FROM vetting_case; DELETE FROM recipient; DELETE FROM message; DELETE FROM worker
""")
LET_PASS = text("""
    WITH due AS (UPDATE recipient SET due_at = due_at - :passed WHERE due_at IS NOT NULL)
    UPDATE vetting_case SET expires_at = expires_at - :passed
""")
# The clock on the wall gains less than a tick between two looks, so that each wait can be told, and made whole again.
MAKE_WHOLE = text("""
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
FRESH = text("""
    SELECT id FROM recipient WHERE message_id = ANY(CAST(:message_ids AS uuid[])) ORDER BY message_id, position
""")
ROWS = text("SELECT *, due_at - clock_timestamp() AS due_in FROM recipient")
SHEETS = text("""
    SELECT message.*, vetting_case.state AS case_state, vetting_case.expires_at - clock_timestamp() AS expires_in
    FROM message LEFT JOIN vetting_case ON vetting_case.message_id = message.id
""")
LETTERS = text("SELECT recipient_id, count(*) AS letters FROM inbox_letter GROUP BY recipient_id")
