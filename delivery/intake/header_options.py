"""Read the options of a header's value, such as `charset` and `boundary`, in bounded time."""

from collections.abc import Mapping

from python_multipart.multipart import parse_options_header

from delivery.intake.errors import body_fault

OPTION_LIMIT = 50
"""The parser takes microseconds for each semicolon, quoted ones included."""


def read_options(value: bytes) -> Mapping[bytes, bytes]:
    """Return the options after the first semicolon, by their names in lower case. Raises `InvalidInput`."""
    if value.count(b";") > OPTION_LIMIT:
        raise body_fault("too_long", f"A header about the body has more than {OPTION_LIMIT} options.")
    _, options = parse_options_header(value)
    return options
