"""Rows of a large database: settled ones, and a backlog."""

from delivery.vocabulary import Channel

SETTLED = """
    INSERT INTO account (id, name, email) SELECT gen_random_uuid(), 'Nr ' || n, 'nr' || n || '@example.com'
        FROM generate_series(1, 20000) AS n;
    INSERT INTO preference (account_id) SELECT id FROM account;
    INSERT INTO client (id, name, scopes) VALUES (gen_random_uuid(), 'old', '{}');
    INSERT INTO message (id, client_id, sender_name, subject, body, type, open_count, good_count, decided_at)
        SELECT gen_random_uuid(), client.id, 'Grace', 'Hello', repeat('How are you? ', 20), 'other', 0, 2,
               clock_timestamp()
        FROM client, generate_series(1, 10000);
    INSERT INTO recipient (message_id, account_id, position, state, channel)
        SELECT message.id, account.id, place.position, 'delivered', 'inbox'
        FROM (SELECT id, row_number() OVER () AS number FROM message) AS message
        CROSS JOIN generate_series(0, 1) AS place (position)
        JOIN (SELECT id, row_number() OVER () AS number FROM account) AS account
            ON account.number = (message.number * 2 + place.position) % 20000 + 1;
    INSERT INTO inbox_letter (recipient_id, account_id, message_id) SELECT id, account_id, message_id FROM recipient;
    INSERT INTO vetting_case (id, message_id, state, findings, expires_at)
        SELECT gen_random_uuid(), id, 'approved', '[]', clock_timestamp() FROM message;
    ANALYZE;
"""

BACKLOG = f"""
    INSERT INTO recipient (message_id, account_id, position, state, channel, due_at)
    SELECT message.id, account.id, 2 + place.position, :state, '{Channel.EMAIL}',
           clock_timestamp() + CAST(:due_in AS interval)
    FROM (SELECT id, row_number() OVER () AS number FROM message LIMIT 5000) AS message
    CROSS JOIN generate_series(0, 19) AS place (position)
    JOIN (SELECT id, row_number() OVER () AS number FROM account) AS account
        ON account.number = (message.number * 20 + place.position + 7) % 20000 + 1
    ON CONFLICT DO NOTHING
"""
