"""The history of a trial: the answers to its clients and the decisions of its reviewers, synced to disk at once."""

import json
import os
import threading
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time

from delivery.vocabulary import CaseState


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """The answer to one request, and how long it took. No status: the connection broke."""

    number: int
    status: int | None
    message_id: str | None = None
    asked_at: float = 0.0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ReviewerDecision:
    """What a reviewer decided about a message, and when it began to."""

    state: CaseState
    began_at: float


class History:
    """Entries from many threads; each is synced to the disk."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.answers: dict[int, list[ClientAnswer]] = defaultdict(list)
        self.decisions: dict[int, ReviewerDecision] = {}
        self.direct: dict[int, str] = {}
        self.healed_at = float("inf")

    def note_answer(self, answer: ClientAnswer) -> None:
        """Record the answer to a request."""
        self._write(kind="answer", **asdict(answer))
        with self._lock:
            self.answers[answer.number].append(answer)

    def note_decision(self, number: int, state: CaseState) -> None:
        """Record that a reviewer is about to decide; the first entry of a message counts."""
        began_at = time()
        self._write(kind="decision", number=number, state=state, began_at=began_at)
        with self._lock:
            self.decisions.setdefault(number, ReviewerDecision(state, began_at))

    def note_direct(self, number: int, message_id: str) -> None:
        """Record that the broker accepted a direct send."""
        self._write(kind="direct", number=number, message_id=message_id)
        with self._lock:
            self.direct[number] = message_id

    def note_healed(self) -> None:
        """Record that all faults have ended and the database answers."""
        self.healed_at = time()
        self._write(kind="healed", at=self.healed_at)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, **fields: object) -> None:
        with self._lock:
            self._file.write(json.dumps(fields) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
