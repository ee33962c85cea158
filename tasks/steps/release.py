"""Resume recipients parked after repeated worker crashes or an unknown outcome, when an operator asks for it."""

from uuid import UUID

import structlog

from delivery.records.database import transaction
from delivery.records.workers import deaths
from tasks.context import StepContext

_log = structlog.get_logger()


def release(context: StepContext, message_id: UUID) -> int:
    """Make the parked recipients of this message due at once. Return how many there were.

    Safe to run twice. No bell is rung: the sweep finds them, and works on each alone if workers have crashed on it.
    """
    with transaction(context.database) as db:
        released = deaths.release(db, message_id)
    _log.info("released", message_id=str(message_id), recipients=released)
    return released
