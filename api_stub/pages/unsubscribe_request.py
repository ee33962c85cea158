"""Read what a POST to the unsubscribe page asks for: the button of a page, or the one click of a mail program.

Mail programs send that click in many forms (RFC 8058 binds them, not us). The link is the permission and the POST is
the wish, so everything that does not name another action stops e-mails.
"""

from enum import Enum, auto
from urllib.parse import parse_qsl

from delivery.intake.errors import InvalidInput
from delivery.intake.forms import read_multipart

ONE_CLICK = ("List-Unsubscribe", "One-Click")
BUTTON = "action"


class Wish(Enum):
    """What a POST asks for."""

    STOP = auto()
    UNDO = auto()
    UNCLEAR = auto()


STOP, UNDO = "stop", "undo"


def read_wish(body: bytes, content_type: str) -> Wish:
    """Return what this body asks for, whatever its Content-Type says."""
    pairs = [(name.strip(), value.strip()) for name, value in _read_pairs(body, content_type)]
    actions = {value for name, value in pairs if name == BUTTON}
    if ONE_CLICK in pairs or actions <= {STOP}:
        return Wish.STOP
    return Wish.UNDO if actions == {UNDO} else Wish.UNCLEAR


def _read_pairs(body: bytes, content_type: str) -> list[tuple[str, str]]:
    if not content_type.lower().startswith("multipart/"):
        return parse_qsl(body.decode("utf-8", "replace").strip(), keep_blank_values=True)
    try:
        fields = read_multipart(body, content_type.encode("latin-1"))
    except InvalidInput:
        return []
    return [(name, value) for name, value in fields.items() if isinstance(value, str)]
