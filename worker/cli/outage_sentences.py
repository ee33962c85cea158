"""What a command prints when the database cannot be used: what is wrong, what to do, and the server's own words."""

from collections.abc import Mapping

from delivery.records.outages import Outage, OutageCause

_SENTENCES: Mapping[OutageCause, str] = {
    OutageCause.LOGIN: "the database refuses the login. Check user and password in DATABASE_URL, and the "
    "server's pg_hba.conf.",
    OutageCause.TLS: "there is no encrypted connection to the database as DATABASE_URL asks for it, or as the server "
    "does. Check sslmode and sslrootcert in DATABASE_URL, and the server's certificate.",
    OutageCause.NO_DATABASE: "the server has no database of this name. Create it, or correct DATABASE_URL.",
    OutageCause.TOO_MANY_CONNECTIONS: "the database has no connection left. Run fewer processes, or raise its "
    "max_connections (docs/production.md says how many each process needs).",
    OutageCause.POOLER: "a pooler before the database refuses the connection. PgBouncer needs session mode and "
    'ignore_startup_parameters = options (docs/production.md, "The database").',
    OutageCause.UNREACHABLE: "the database does not answer. Check that it runs, and the host and port in DATABASE_URL.",
    OutageCause.STARTING: "the database is starting or stopping. Try again in a moment.",
    OutageCause.READ_ONLY: "this server takes no writes: it is a standby. Check target_session_attrs in DATABASE_URL.",
    OutageCause.DISK_FULL: "the database has no room on its disk. Make room there.",
    OutageCause.SLOW: "the database did not answer in time. Try again, or look at what keeps it busy.",
    OutageCause.OTHER: "the database cannot be used. Check that it runs, and DATABASE_URL.",
}


def outage_sentence(outage: Outage) -> str:
    """Return what is wrong and what to do, and after it what the server said."""
    said = f" It says: {outage.words}" if outage.words else ""
    state = f" (SQLSTATE {outage.sqlstate})" if outage.sqlstate else ""
    return f"{_SENTENCES[outage.cause]}{said}{state}"
