"""The API on an event loop that measures for how long one of its rounds uses the CPU."""

import asyncio
import selectors
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time
from typing import Any

import httpx2
import uvicorn

from api_stub.app import make_http_app
from api_stub.server.protocol import Timeouts, serving
from delivery.settings import Settings
from tests.support.waiting import wait_until


class MeasuringSelector(selectors.DefaultSelector):
    """Records the longest round of its loop, in CPU time of the loop's thread: other processes do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_s = 0.0
        self._began_at: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as usual, between the end of one round and the beginning of the next."""
        if self._began_at is not None:
            self.longest_s = max(self.longest_s, thread_time() - self._began_at)
        ready = super().select(timeout)
        self._began_at = thread_time()
        return ready


@contextmanager
def serve_measured(settings: Settings) -> Iterator[tuple[httpx2.Client, MeasuringSelector]]:
    """Serve the API until the block ends; yield a client, and what measures."""
    config = serving(make_http_app(settings), settings, host="127.0.0.1", port=0, timeouts=Timeouts(stop_s=12))
    server = uvicorn.Server(config)
    selector = MeasuringSelector()

    def serve() -> None:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            runner.run(server.serve())

    thread = threading.Thread(target=serve, name="measured API")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        port: Any = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=15) as client:
            yield client, selector
    finally:
        server.should_exit = True
        thread.join()
