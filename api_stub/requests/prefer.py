"""The `Prefer` header (RFC 7240): how long a client waits for the verdict."""

import re

LONGEST_WAIT_S = 10
_WAIT = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.ASCII | re.IGNORECASE)


def read_wait(headers: list[str], default_s: float) -> float:
    """Return how many seconds to wait. `respond-async` means none; a malformed preference is ignored.

    When a preference is given twice, the first counts (RFC 7240 section 2).
    """
    preferences = [part.partition(";")[0].strip() for header in headers for part in header.split(",")]
    if any(preference.lower() == "respond-async" for preference in preferences):
        return 0
    waits = [match[1] for preference in preferences if (match := _WAIT.fullmatch(preference))]
    return min(int(waits[0]), LONGEST_WAIT_S) if waits else default_s
