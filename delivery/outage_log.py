"""Log that the database cannot be used: each time with the cause, and once a minute in the server's own words."""

import structlog

from delivery.logs.rare_lines import RareLines, is_first
from delivery.records.outages import Outage, explain_outage

_log = structlog.get_logger()
_spoken = RareLines(is_due=is_first)


def log_outage(error: BaseException, **fields: object) -> Outage:
    """Log one `store_unavailable` with these fields, and return the cause."""
    outage = explain_outage(error)
    words = {"sqlstate": outage.sqlstate, "words": outage.words} if _spoken.count(outage.cause) else {}
    _log.warning("store_unavailable", error=type(error).__name__, cause=outage.cause, **words, **fields)
    return outage
