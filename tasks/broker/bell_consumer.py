"""Receive bells, and drop every payload that is not exactly a bell, before kombu parses it."""

from collections.abc import Callable
from queue import Empty
from time import monotonic
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str

from tasks.broker.bell_reader import InvalidBell, read_bell

_log = structlog.get_logger()
_LOG_EVERY_S = 10.0


class BellConsumer(Consumer):  # type: ignore[misc] # Celery ships no types
    """Celery's consumer, on connections that pass on only bells."""

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        """Open the connection on which bells are received."""
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        connection.transport.Channel = BellChannel
        return self.ensure_connected(connection)


class GarbledBells:
    """The log of payloads that are no bell: a line for the first, then one in 10 s with how many there were since.

    Any program can push them, and as many as it likes.
    """

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._unlogged = 0
        self._log_after = 0.0

    def count(self, queue_name: str) -> None:
        """Count one, and log when it is time. Nothing of its content is logged."""
        self._unlogged += 1
        if self._now() >= self._log_after:
            _log.warning("bell_garbled", queue=queue_name, payloads=self._unlogged)
            self._unlogged, self._log_after = 0, self._now() + _LOG_EVERY_S


class BellChannel(redis.Channel):
    """kombu's channel. It removes a payload that is no bell from its list, and logs that it did."""

    garbled = GarbledBells()

    def _brpop_read(self, **options: Any) -> bool:
        """Read the reply to BRPOP as kombu does, but parse what was popped ourselves."""
        try:
            queue_name, raw = self._pop(**options)
            self._queue_cycle.rotate(queue_name)
            self._pass_on(raw, queue_name)
        finally:
            self._in_poll = None  # type: ignore[assignment] # kombu's own default is False
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call] # kombu has not typed it
        return True

    def _pop(self, **options: Any) -> tuple[str, bytes]:
        try:
            popped = self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()  # The next round connects again.
            raise
        if not popped:
            raise Empty
        key, raw = popped
        return bytes_to_str(key).rsplit(self.sep, 1)[0], raw  # type: ignore[no-untyped-call] # kombu has not typed it

    def _pass_on(self, raw: bytes, queue_name: str) -> None:
        try:
            bell = read_bell(raw, queue_name)
        except InvalidBell:
            self.garbled.count(queue_name)
            return
        self.connection._deliver(bell, queue_name)  # noqa: SLF001 - kombu's own channel calls it so
