"""The options of a TCP socket that notice a vanished host, for sockets that no library of PostgreSQL opens."""

import socket
from collections.abc import Mapping

from delivery.keepalives import IDLE_S, INTERVAL_S, PROBES, UNACKNOWLEDGED_MS

_OPTIONS = {
    "TCP_KEEPIDLE": IDLE_S,
    "TCP_KEEPINTVL": INTERVAL_S,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": UNACKNOWLEDGED_MS,
}

# macOS names not all of them.
SOCKET_OPTIONS: Mapping[int, int] = {
    getattr(socket, name): value for name, value in _OPTIONS.items() if hasattr(socket, name)
}
"""Numbers and values of these options, at the level IPPROTO_TCP."""


def enable_keepalives(connected: socket.socket) -> None:
    """Let this TCP socket fail about 15 s after its other end vanished."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in SOCKET_OPTIONS.items():
        connected.setsockopt(socket.IPPROTO_TCP, option, value)
