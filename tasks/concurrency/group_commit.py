"""Group commit: one thread does in one transaction what several threads want done at the same time."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from delivery.records.database import DATABASE_UNAVAILABLE

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], Sequence[Result]]
"""Does all of these items or none, and returns the results in their order."""


@dataclass(slots=True)
class _Request(Generic[Item, Result]):
    """The item of one thread. `woken` is set when its result is there, or when its thread is to do the next group."""

    item: Item
    results: list[Result] = field(default_factory=list)
    error: BaseException | None = None
    woken: threading.Event = field(default_factory=threading.Event)

    @property
    def is_ended(self) -> bool:
        return bool(self.results) or self.error is not None

    def result(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.results[0]


class GroupCommit(Generic[Item, Result]):
    """The first thread works at once. Items that arrive meanwhile form the next group, which one of their threads does.

    There is no timer: the longer the work on a group takes, the larger the next one is. No thread gets its result
    before the work on its group has returned, so what that work commits is committed by then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Request[Item, Result]] = []
        self._is_led = False

    def submit(self, item: Item, work: Work[Item, Result]) -> Result:
        """Do this item together with those of other threads.

        When the work fails on a group, it is done again on each item alone. So this raises what the work raises on this
        item, except that a group for which the database is unavailable fails as a whole, with one error.

        All threads that submit to one object pass the same work: the leader does it for all of them.
        """
        request: _Request[Item, Result] = _Request(item)
        with self._lock:
            self._waiting.append(request)
            leads, self._is_led = not self._is_led, True
        if not leads:
            request.woken.wait()
        if not request.is_ended:
            self._lead(work)
        return request.result()

    def _lead(self, work: Work[Item, Result]) -> None:
        """Do the items that wait now. Then wake the first thread that arrived meanwhile, which does the next group."""
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            _serve(group, work)
        finally:
            with self._lock:
                next_leader = self._waiting[:1]
                self._is_led = bool(next_leader)
            for request in [*group, *next_leader]:
                request.woken.set()


def _serve(group: Sequence[_Request[Item, Result]], work: Work[Item, Result]) -> None:
    try:
        for request, result in zip(group, work([request.item for request in group]), strict=True):
            request.results.append(result)
    except BaseException as error:  # noqa: BLE001 - each thread raises it itself
        # Without a database the other threads would wait for it one after another, and in vain.
        if len(group) == 1 or isinstance(error, DATABASE_UNAVAILABLE) or not isinstance(error, Exception):
            _fail(group, error)
        else:
            for request in group:
                _serve([request], work)


def _fail(group: Sequence[_Request[Item, Result]], error: BaseException) -> None:
    for request in group:
        request.error = error
