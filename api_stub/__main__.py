"""`python -m api_stub`: serve HTTP, on an address or on a socket that another process has bound."""

import argparse
import gc
import socket

import uvicorn

from api_stub.app import make_http_app
from api_stub.requests.prefer import LONGEST_WAIT_S
from api_stub.server.connections import raise_descriptor_limit
from api_stub.server.protocol import Timeouts, serving
from delivery.crash_points import arm
from delivery.logs import configure_logs
from delivery.settings import settings_from_environment
from tasks.start_checks import check_start

# With Python's default of 700 a body of 1 MiB causes a hundred collections (141 ms of CPU, 56 without).
_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests under way and end."""
    parser = argparse.ArgumentParser(prog="python -m api_stub", description="Serve Postroom's HTTP API.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the port to listen on (default: %(default)s)")
    parser.add_argument("--fd", type=int, help="the file descriptor of a bound socket, instead of host and port")
    arguments = parser.parse_args()
    settings = settings_from_environment()
    configure_logs(settings.log_level)
    arm(settings.crash_at)
    raise_descriptor_limit()
    check_start(settings)
    config = serving(
        make_http_app(settings),
        settings,
        host=arguments.host,
        port=arguments.port,
        # At SIGTERM, clients that wait still get their response: the longest wait, then a last query of 1.5 s.
        timeouts=Timeouts(stop_s=LONGEST_WAIT_S + 2),
    )
    # What lives as long as the process is never garbage. Frozen, the collector does not walk it at every collection.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    sockets = None if arguments.fd is None else [socket.socket(fileno=arguments.fd)]
    uvicorn.Server(config).run(sockets=sockets)


main()
