"""Read the header `Idempotency-Key`."""

import re

from delivery.intake.errors import FieldError, InvalidInput

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)


def read_key(values: list[str]) -> str | None:
    """Return the key of a request; None when it has none. Raises `InvalidInput` for a malformed or repeated one."""
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        message = f"{HEADER} must be given once, as 1 to 255 visible ASCII characters."
        raise InvalidInput([FieldError(HEADER, "invalid_idempotency_key", message)])
    return values[0]
