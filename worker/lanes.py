"""The lanes: which queues a worker process serves, and on what kind of pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from delivery.settings import Settings
from delivery.vocabulary import QueueName


class LaneName(StrEnum):
    """The kinds of worker process."""

    DECIDE = "decide"
    SMTP = "smtp"


@dataclass(frozen=True, slots=True)
class Lane:
    """What one worker process serves. Steps that compute run one at a time (`solo`), steps that wait on `threads`."""

    queues: tuple[QueueName, ...]
    pool: str

    def concurrency(self, settings: Settings) -> int:
        """How many steps run at once in one process."""
        return settings.smtp_concurrency if self.pool == "threads" else 1


LANES: Mapping[LaneName, Lane] = {
    LaneName.DECIDE: Lane((QueueName.DECIDE, QueueName.VETTING), "solo"),
    LaneName.SMTP: Lane((QueueName.DELIVER_SMTP,), "threads"),
}
