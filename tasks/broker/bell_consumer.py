"""Receive bells, and drop every payload that is not exactly a bell, before kombu parses it."""

from queue import Empty
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str

from delivery.logs.rare_lines import RareLines, is_first
from tasks.broker.bell_reader import InvalidBell, read_bell

_log = structlog.get_logger()


class BellConsumer(Consumer):  # type: ignore[misc] # Celery ships no types
    """Celery's consumer, on connections that pass on only bells."""

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        """Open the connection on which bells are received."""
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        connection.transport.Channel = BellChannel
        return self.ensure_connected(connection)


class BellChannel(redis.Channel):
    """kombu's channel. It removes a payload that is no bell from its list, and logs that it did."""

    garbled = RareLines(is_due=is_first, period_s=10.0)

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
            self._log_garbled(queue_name)
            return
        self.connection._deliver(bell, queue_name)  # noqa: SLF001 - kombu's own channel calls it so

    def _log_garbled(self, queue_name: str) -> None:
        """Log nothing of its content: any program can push what it likes, and as often as it likes."""
        line = self.garbled.count(queue_name)
        if line is not None:
            _log.warning("bell_garbled", queue=queue_name, payloads=line.more + 1)
