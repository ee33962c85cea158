"""Logs: one JSON line for each event, on stderr."""

import logging
import sys
import traceback
from contextlib import suppress
from types import TracebackType
from typing import TextIO

import structlog

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


# What a full disk raises, and a stream that has been closed.
_UNWRITABLE = (OSError, ValueError)


class _LossyStream:
    """A stream that drops what it cannot write, so that a full disk under the log does not break the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        with suppress(*_UNWRITABLE):
            self._stream.write(line)

    def flush(self) -> None:
        with suppress(*_UNWRITABLE):
            self._stream.flush()


def configure_logs(level: str) -> None:
    """Send our events from `level` on, and those of libraries from WARNING on, to stderr as JSON lines.

    Below WARNING, libraries log for every task what our own events say already.
    """
    stream = _LossyStream(sys.stderr)
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, _name_error, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type] # it writes and flushes, no more
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _name_error,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def place_of(error: BaseException) -> str:
    """Return where an error was raised, as file:line. Its message may quote personal data and is never logged."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"


def _name_error(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replace an exception by its type and the place where it was raised."""
    del logger, method
    exc_info = event.pop("exc_info", None)
    info: ExcInfo | tuple[None, None, None] = exc_info if isinstance(exc_info, tuple) else sys.exc_info()
    if exc_info and info[1] is not None:
        event["error"], event["where"] = type(info[1]).__name__, place_of(info[1])
    return event
