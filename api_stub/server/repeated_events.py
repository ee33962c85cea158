"""Log what many requests can cause: the first lines of a minute, and then how many more there were."""

import asyncio
from collections.abc import Hashable

import structlog

_PERIOD_S = 60.0
_KINDS_LIMIT = 1000
_OTHERS = "other kinds"
_log = structlog.get_logger()


class RepeatedEvents:
    """One event of the log. Each kind of it has `lines` lines a minute; those beyond are counted in a line more."""

    def __init__(self, event: str, *, lines: int = 1, level: str = "warning") -> None:
        self._event = event
        self._lines = lines
        self._level = level
        self._seen: dict[Hashable, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def log(self, kind: Hashable = None, **fields: object) -> None:
        """Log or count one event. Past a thousand kinds in a minute, further ones count as one."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # The timers of another loop never end its minutes.
            self._loop, self._seen = loop, {}
        if kind not in self._seen and len(self._seen) >= _KINDS_LIMIT:
            kind, fields = _OTHERS, {}
        count = self._seen[kind] = self._seen.get(kind, 0) + 1
        if count == 1:
            loop.call_later(_PERIOD_S, self._end_minute, kind, fields)
        if count <= self._lines:
            self._write(fields)

    def _end_minute(self, kind: Hashable, fields: dict[str, object]) -> None:
        more = self._seen.pop(kind) - self._lines
        if more > 0:
            # The id of one request says nothing about the others.
            self._write({**{name: each for name, each in fields.items() if name != "request_id"}, "more": more})

    def _write(self, fields: dict[str, object]) -> None:
        getattr(_log, self._level)(self._event, **fields)
