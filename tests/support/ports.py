"""TCP ports of this machine: find a free one, and look whether a server uses one."""

import socket
from http.client import HTTPException
from urllib.request import urlopen


def free_port() -> int:
    """Find a port that no server uses right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Return whether a server accepts connections on this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_page_served(port: int, path: str, *, timeout_s: float = 5.0, address: str = "127.0.0.1") -> bool:
    """Return whether an HTTP server on this port answers a GET of this path with success."""
    try:
        urlopen(f"http://{address}:{port}{path}", timeout=timeout_s).close()
    except (OSError, HTTPException):
        return False
    return True
