"""Read instants as clients write them: RFC 3339, and no other form of ISO 8601."""

import re
from datetime import UTC, datetime

_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def read_instant(text: str) -> datetime | None:
    """Read an RFC 3339 date-time, as UTC; None for every other text and for a date that does not exist.

    A fraction is cut to microseconds; the leap second :60 is refused (Python has none).
    """
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
