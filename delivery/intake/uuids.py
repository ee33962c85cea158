"""Ids as clients write them: UUIDs in the canonical form and no other."""

import re
from uuid import UUID

# uuid.UUID() alone also takes braces, "urn:uuid:", missing dashes and full-width digits (measured).
_CANONICAL = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def read_uuid(text: str) -> UUID | None:
    """Read a UUID in its canonical 8-4-4-4-12 form, in either case; None for every other text."""
    return UUID(text) if _CANONICAL.fullmatch(text) else None
