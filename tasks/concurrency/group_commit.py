"""Gathering: what several threads want done at the same time is done by one of them, for all, in one transaction."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from delivery.records.database import DATABASE_UNAVAILABLE

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Work = Callable[[Sequence[Item]], Sequence[Answer]]
"""Does all of these or none, and answers in their order."""


@dataclass(slots=True)
class _Request(Generic[Item, Answer]):
    """What one thread wants. It is called when its answer is there, or when it is the one to lead."""

    item: Item
    answers: list[Answer] = field(default_factory=list)
    error: BaseException | None = None
    called: threading.Event = field(default_factory=threading.Event)

    @property
    def is_ended(self) -> bool:
        return bool(self.answers) or self.error is not None

    def answer(self) -> Answer:
        if self.error is not None:
            raise self.error
        return self.answers[0]


class GroupCommit(Generic[Item, Answer]):
    """Leaders and followers: who comes while nobody leads is served at once, alone; whoever comes meanwhile gathers.

    There is no timer: the groups are as large as the work before them was long. Nobody gets his answer before the
    work on his group has returned, so that what it commits is committed then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Request[Item, Answer]] = []
        self._is_led = False

    def submit(self, item: Item, work: Work[Item, Answer]) -> Answer:
        """Have this done, together with what others want done now. Raises what the work raises on it alone.

        All who gather in one place bring the same work: whoever leads does it for everybody.
        """
        wish: _Request[Item, Answer] = _Request(item)
        with self._lock:
            self._waiting.append(wish)
            leads, self._is_led = not self._is_led, True
        if not leads:
            wish.called.wait()
        if not wish.is_ended:
            self._lead(work)
        return wish.answer()

    def _lead(self, work: Work[Item, Answer]) -> None:
        """Do what waits by now, and hand the lead to the first of those who came meanwhile."""
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            _serve(group, work)
        finally:
            with self._lock:
                heirs = self._waiting[:1]
                self._is_led = bool(heirs)
            for wish in [*group, *heirs]:
                wish.called.set()


def _serve(group: Sequence[_Request[Item, Answer]], work: Work[Item, Answer]) -> None:
    try:
        for wish, answer in zip(group, work([wish.item for wish in group]), strict=True):
            wish.answers.append(answer)
    except BaseException as error:  # noqa: BLE001 - each of them raises it in its own thread
        # Where there is no database the others would wait for it one after another, and in vain.
        if len(group) == 1 or isinstance(error, DATABASE_UNAVAILABLE) or not isinstance(error, Exception):
            _fail(group, error)
        else:
            for wish in group:
                _serve([wish], work)


def _fail(group: Sequence[_Request[Item, Answer]], error: BaseException) -> None:
    for wish in group:
        wish.error = error
