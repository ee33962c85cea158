"""The API, served on a port of its own in this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import uvicorn

from api_stub.app import make_http_app
from api_stub.server.protocol import Timeouts, serving
from delivery.settings import Settings
from tests.support.waiting import wait_until

_TIMEOUTS = Timeouts(stop_s=12)


@contextmanager
def open_door(settings: Settings, timeouts: Timeouts = _TIMEOUTS) -> Iterator[httpx2.Client]:
    """Serve the API until the block ends, and yield a client that keeps its connections."""
    config = serving(make_http_app(settings), settings, host="127.0.0.1", port=0, timeouts=timeouts)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="API")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        port: Any = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=15) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
