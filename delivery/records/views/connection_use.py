"""How many of the database's connections are in use."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

_USE = text("""
    SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most
""")


@dataclass(frozen=True, slots=True)
class ConnectionUse:
    """Connections of all programs that are open at the server, and how many it lets ordinary roles open."""

    used: int
    limit: int


def connection_use(db: Connection) -> ConnectionUse:
    """Return the use of connections at this moment, this one included."""
    row = db.execute(_USE).one()
    return ConnectionUse(row.used, row.most)
