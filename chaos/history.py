"""The ledger of a trial: what the clients were answered and what staff decided, on disk before anybody acts on it."""

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
    """What one request was answered, and how long that took. No status: it broke off, and nobody knows."""

    number: int
    status: int | None
    message_id: str | None = None
    asked_at: float = 0.0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StaffDecision:
    """What staff decided about a message: not before `began_at`, and whether they heard that it was so."""

    state: CaseState
    began_at: float


class History:
    """Notes from many threads; every note is synced to the disk."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.answers: dict[int, list[ClientAnswer]] = defaultdict(list)
        self.decisions: dict[int, StaffDecision] = {}
        self.direct: dict[int, str] = {}
        self.healed_at = float("inf")

    def note_answer(self, answer: ClientAnswer) -> None:
        """Note what a request was answered."""
        self._write(kind="answer", **asdict(answer))
        with self._lock:
            self.answers[answer.number].append(answer)

    def note_decision(self, number: int, state: CaseState) -> None:
        """Note that staff are about to decide; the first note of a message counts."""
        began_at = time()
        self._write(kind="decision", number=number, state=state, began_at=began_at)
        with self._lock:
            self.decisions.setdefault(number, StaffDecision(state, began_at))

    def note_direct(self, number: int, message_id: str) -> None:
        """Note that the broker took a direct send."""
        self._write(kind="direct", number=number, message_id=message_id)
        with self._lock:
            self.direct[number] = message_id

    def note_healed(self) -> None:
        """Note that from now on nothing is wrong any more, and the database answers."""
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
