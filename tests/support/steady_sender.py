"""A client that sends steadily, to the APIs of two versions and into the broker."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from uuid import UUID

import httpx2
from redis import Redis

from tasks.broker.direct_queue import LISTS
from tests.support.direct_sends import envelope, fields
from tests.support.process_group import ProcessGroup
from tests.support.waiting import wait_until

_PAUSE_S = 0.05
_SETTLED_S = 90.0


class SteadySender:
    """A client that sends by turns to the APIs of both versions, and direct sends too."""

    def __init__(self, apis: list[ProcessGroup], broker: Redis, accounts: list[UUID], token: str) -> None:
        self._apis = apis
        self._broker = broker
        self._accounts = accounts
        self._token = token
        self._is_done = threading.Event()
        self.sent = 0
        self.accepted_by: Counter[ProcessGroup] = Counter()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Send until the block ends. Raises the error that ended the sending, if there was one."""
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(self._send_all)
            try:
                yield
            finally:
                self._is_done.set()
            sending.result()

    def await_more(self, number: int) -> None:
        """Wait until this many more messages are accepted."""
        goal = self.sent + number
        wait_until(lambda: self.sent >= goal, within_s=_SETTLED_S)

    def _send_all(self) -> None:
        for number in count():
            if self._is_done.wait(_PAUSE_S):
                return
            self._broker.lpush(LISTS[0], envelope(fields(*self._accounts, token=self._token)))
            self._send(f"order-{number}", self._apis[number % len(self._apis)])
            self.sent += 2

    def _send(self, key: str, api: ProcessGroup) -> None:
        """Send to this API; when it does not accept the message, send it with the same key to the last one."""
        if not _is_accepted(api, self._accounts, key):
            api = self._apis[-1]
            wait_until(lambda: _is_accepted(api, self._accounts, key), within_s=_SETTLED_S)
        self.accepted_by[api] += 1


def _is_accepted(api: ProcessGroup, accounts: list[UUID], key: str) -> bool:
    try:
        answer = api.post(*accounts, headers={"Idempotency-Key": key})
    except httpx2.TransportError:  # It has stopped, or is stopping.
        return False
    assert answer.status_code in {201, 503}, answer.text
    return answer.status_code == 201
