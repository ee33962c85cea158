"""Which clients accept tokens of the trusted issuer, and what the issuer calls them. It only adds.

Until now a token named any client by its id or by a unique name, and no use was recorded. So the clients that may have
been used like this are linked, under both: no key or secret of theirs was ever used, or a message of theirs is younger
than every use of a key and every access token of our own. Clients whose keys were all revoked were refused before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# A use is recorded once a minute and a moment later.
_USED = """
    SELECT client.id, client.name FROM client
    LEFT JOIN LATERAL (
        SELECT max(last_used_at) AS used_at, max(expires_at) FILTER (WHERE kind = 'access_token') AS tokens_end_at,
               coalesce(bool_and(revoked_at IS NOT NULL) FILTER (WHERE kind <> 'access_token'), false) AS is_shut_out
        FROM credential WHERE client_id = client.id
    ) AS credentials ON true
    WHERE NOT is_shut_out AND (used_at IS NULL OR (
        SELECT max(created_at) FROM message WHERE client_id = client.id
    ) > greatest(used_at, tokens_end_at) + interval '2 minutes')
"""


def upgrade() -> None:
    op.create_table(
        "issuer_link",
        sa.Column("issuer_client", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("issuer_link_client_id_fkey")),
        sa.PrimaryKeyConstraint("issuer_client", name=op.f("issuer_link_pkey")),
    )
    op.create_index(op.f("issuer_link_client_id_idx"), "issuer_link", ["client_id"], unique=False)
    op.execute(f"INSERT INTO issuer_link (issuer_client, client_id) SELECT id::text, id FROM ({_USED}) AS used")
    # A name that several clients have named none of them, and an id always came before a name.
    op.execute(
        f"INSERT INTO issuer_link (issuer_client, client_id) SELECT name, id FROM ({_USED}) AS used"
        " WHERE NOT EXISTS (SELECT FROM client WHERE client.name = used.name AND client.id <> used.id)"
        " AND NOT EXISTS (SELECT FROM client WHERE client.id::text = lower(used.name)) ON CONFLICT DO NOTHING"
    )


def downgrade() -> None:
    op.drop_table("issuer_link")
