"""Shift the wall clock of a Python process on this path by the number of seconds in a file, read at every call.

`monotonic` is not shifted, as the kernel does not shift it when an operator sets the clock.
"""

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import uuid_utils
import uuid_utils.compat

_FILE = Path(os.environ["CLOCK_FILE"])  # noqa: TID251 - this program has no settings
_time, _time_ns, _datetime = time.time, time.time_ns, dt.datetime


def _shift_s() -> int:
    return int(_FILE.read_text() or 0)


class _LikeDatetime(type):
    """Count every datetime as an instance, because those that C code makes are not of our class."""

    def __instancecheck__(cls, other: object) -> bool:
        return isinstance(other, _datetime)


class _Datetime(_datetime, metaclass=_LikeDatetime):  # type: ignore[misc, valid-type] # the class that it replaces
    """A datetime whose present is shifted."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        """Return the time of the shifted clock."""
        return _datetime.now(tz) + dt.timedelta(seconds=_shift_s())


time.time = lambda: _time() + _shift_s()
time.time_ns = lambda: _time_ns() + _shift_s() * 10**9
dt.datetime = _Datetime  # type: ignore[misc] # that is the point
uuid_utils.compat.uuid7 = lambda: UUID(int=uuid_utils.uuid7(nanoseconds=time.time_ns()).int)  # type: ignore[assignment, misc] # as above
