"""The header `Idempotency-Key`."""

import re

from delivery.intake.errors import FieldError, InvalidInput

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)


def read_key(given: list[str]) -> str | None:
    """Read the key of a request, or None when it has none. Raises `Unacceptable` for a malformed or repeated one."""
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        message = f"{HEADER} must be given once, as 1 to 255 visible ASCII characters."
        raise InvalidInput([FieldError(HEADER, "invalid_idempotency_key", message)])
    return given[0]
