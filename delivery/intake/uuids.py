"""Read UUIDs in the canonical form and no other."""

import re
from uuid import UUID

# Without groups and flags: this takes 0.2 us, a third of the shorter pattern with both. uuid.UUID() alone also takes
# braces, "urn:uuid:", missing dashes and full-width digits (measured).
UUID_PATTERN = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
"""The canonical 8-4-4-4-12 form, in either case; the same in Python's and in pydantic's regular expressions."""

_CANONICAL = re.compile(UUID_PATTERN)


def read_uuid(text: str) -> UUID | None:
    """Read a UUID in its canonical form; None for every other text."""
    return UUID(text) if _CANONICAL.fullmatch(text) else None
