"""Read which page a client wants, and write the cursor of the next one."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

from api_stub.requests.query import Parameters
from delivery.intake.timestamps import read_instant

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100

_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)


Id = TypeVar("Id")


@dataclass(frozen=True, slots=True)
class Page(Generic[Id]):
    """A page of `limit` entries older than `before`: an instant, and an id among equal instants."""

    limit: int
    before: tuple[datetime, Id] | None

    @property
    def rows(self) -> int:
        """How many rows to read: one more than `limit` shows whether there is another page."""
        return self.limit + 1


def read_page(parameters: Parameters, read_id: Callable[[str], Id | None]) -> Page[Id]:
    """Read `limit` and `cursor`; `read_id` parses an id of these entries, and returns None for an invalid one."""
    limit = parameters.read("limit", _read_limit, f"a number from 1 to {LARGEST_LIMIT}")
    before = parameters.read("cursor", partial(_read_cursor, read_id=read_id), "a meta.next_cursor as this API gave it")
    return Page(limit or DEFAULT_LIMIT, before)


def write_cursor(at: datetime, entry_id: object) -> str:
    """Return the cursor of the page after this entry."""
    return base64.urlsafe_b64encode(f"{at.isoformat()} {entry_id}".encode()).decode().rstrip("=")


def _read_limit(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) and 1 <= int(text) <= LARGEST_LIMIT else None


def _read_cursor(text: str, *, read_id: Callable[[str], Id | None]) -> tuple[datetime, Id] | None:
    # Cursors are written without padding, because some programs lose it (RFC 4648 3.2); those of before have it.
    bare = text.rstrip("=")
    try:
        content = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
        at, _, entry = content.decode("ascii").rpartition(" ")
    except (ValueError, binascii.Error):
        return None
    instant, entry_id = read_instant(at), read_id(entry)
    return None if instant is None or entry_id is None else (instant, entry_id)
