"""`python -m api_stub`: serve HTTP, on an address or on a socket that somebody else has bound already."""

import argparse
import gc
import socket

import uvicorn

from api_stub.app import make_http_app
from api_stub.requests.prefer import LONGEST_WAIT_S
from api_stub.server.protocol import serving
from delivery.crash_points import arm
from delivery.logs import configure_logs
from delivery.settings import settings_from_environment

# Python's own 700 makes a body of a mebibyte pay for a hundred collections (141 ms of CPU, 56 without).
_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000


def main() -> None:
    """Serve until SIGTERM or SIGINT, then answer what is under way and end."""
    parser = argparse.ArgumentParser(prog="python -m api_stub", description="Serve Postroom's HTTP API.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="the port to listen on")
    parser.add_argument("--fd", type=int, help="a bound socket that was handed over, instead of host and port")
    asked = parser.parse_args()
    settings = settings_from_environment()
    configure_logs(settings.log_level)
    arm(settings.crash_at)
    config = serving(
        make_http_app(settings),
        host=asked.host,
        port=asked.port,
        proxies=settings.trusted_proxies,
        # At SIGTERM, clients that wait are still answered: the longest wait, then a last query of 1.5 s.
        stop_timeout_s=LONGEST_WAIT_S + 2,
    )
    # What lives as long as the process is never garbage: the collector need not walk it at every hostile request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    handed_over = None if asked.fd is None else [socket.socket(fileno=asked.fd)]
    uvicorn.Server(config).run(sockets=handed_over)


main()
