"""Release: let what was set aside be tried again, because somebody says so."""

from uuid import UUID

import structlog

from delivery.records.database import transaction
from delivery.records.workers import deaths
from tasks.context import StepContext

_log = structlog.get_logger()


def release(context: StepContext, message_id: UUID) -> int:
    """Let the parked recipients of this message be tried again at once; answer how many they are.

    No bell is rung: the sweep finds them, and works on each alone if workers have died of them.
    """
    with transaction(context.database) as db:
        released = deaths.release(db, message_id)
    _log.info("released", message_id=str(message_id), recipients=released)
    return released
