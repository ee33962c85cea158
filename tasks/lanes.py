"""Define the lanes: which queues a worker process serves, and on what kind of pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from delivery.mail_settings import THREADS_PER_CONNECTION
from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.queues import DIRECT_SENDS

THREADS = "threads"


class LaneName(StrEnum):
    """The kinds of worker process."""

    DECIDE = "decide"
    SMTP = "smtp"


@dataclass(frozen=True, slots=True)
class Lane:
    """What one worker process serves. Bells for steps that send are handled on a pool of threads.

    A `solo` pool has no threads: bells are handled one at a time, on the thread of Celery's consumer. The sweep and the
    reader of direct sends then run steps on their own threads, beside it.
    """

    queues: tuple[QueueName, ...]
    pool: str

    @property
    def bell_queues(self) -> tuple[QueueName, ...]:
        """The queues that Celery consumes: all but that of direct sends, which has a reader of its own."""
        return tuple(name for name in self.queues if name is not DIRECT_SENDS)

    def concurrency(self, settings: Settings) -> int:
        """Return how many pieces of work the pool of one process runs at once."""
        return ceil(settings.smtp_concurrency * THREADS_PER_CONNECTION) if self.pool == THREADS else 1


LANES: Mapping[LaneName, Lane] = {
    # A direct send that is stored here is decided next, in the same process. Neither step waits for a network.
    LaneName.DECIDE: Lane((QueueName.ACCEPT, QueueName.DECIDE, QueueName.VETTING), "solo"),
    LaneName.SMTP: Lane((QueueName.DELIVER_SMTP,), THREADS),
}
