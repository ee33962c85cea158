"""The lanes: which queues a worker process serves, and on what kind of pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.queues import LETTERBOX

THREADS = "threads"


class LaneName(StrEnum):
    """The kinds of worker process."""

    DECIDE = "decide"
    SMTP = "smtp"


@dataclass(frozen=True, slots=True)
class Lane:
    """What one worker process serves. Steps that compute run one at a time (`solo`), steps that wait on `threads`."""

    queues: tuple[QueueName, ...]
    pool: str

    @property
    def bell_queues(self) -> tuple[QueueName, ...]:
        """The queues that Celery consumes: all but the letterbox of direct sends, which a reader empties."""
        return tuple(name for name in self.queues if name is not LETTERBOX)

    def concurrency(self, settings: Settings) -> int:
        """How many steps run at once in one process."""
        return settings.smtp_concurrency if self.pool == THREADS else 1


LANES: Mapping[LaneName, Lane] = {
    # What is taken in here is decided next, in the same process, and neither waits for a network.
    LaneName.DECIDE: Lane((QueueName.ACCEPT, QueueName.DECIDE, QueueName.VETTING), "solo"),
    LaneName.SMTP: Lane((QueueName.DELIVER_SMTP,), THREADS),
}
