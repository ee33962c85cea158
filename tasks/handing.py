"""Handing placed recipients on to the queues of their channels."""

from collections.abc import Sequence

from delivery.rules.transitions import Move
from delivery.vocabulary import State, StepName
from tasks.doorbell import Doorbell
from tasks.queues import DELIVERY_QUEUES


def ring_for_deliveries(doorbell: Doorbell, placed: Sequence[Move]) -> None:
    """Ring for every recipient that these moves have queued, each channel in its own queue."""
    for channel, queue_name in DELIVERY_QUEUES.items():
        queued = [move.recipient_id for move in placed if move.after is State.QUEUED and move.channel is channel]
        doorbell.ring(StepName.DELIVER, queue_name, queued)
