"""Bound how many connections there are, in all and from one address, so that none of them keeps others out."""

import resource
from collections import Counter

import structlog

from api_stub.server.peers import TrustedProxies, network_of
from delivery.logs.rare_lines import RareLines

# Files and connections that are no clients': database, Redis, issuer, logs.
_DESCRIPTOR_RESERVE = 64
_log = structlog.get_logger()


class ConnectionLimits:
    """Counts the connections of one API process."""

    def __init__(self, *, in_all: int, per_address: int, proxies: TrustedProxies) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._in_all = in_all if soft == resource.RLIM_INFINITY else min(in_all, max(1, soft - _DESCRIPTOR_RESERVE))
        self._per_address = per_address
        self._proxies = proxies
        self._counts: Counter[str] = Counter()
        self._count = 0
        self._lines = RareLines()

    def admit(self, address: str) -> bool:
        """Count a connection and return True, or log and return False. A trusted proxy may have all of them."""
        network = network_of(address)
        is_crowded = self._counts[network] >= self._per_address and not self._proxies.trust(address)
        if is_crowded or self._count >= self._in_all:
            limit = {"per_address": self._per_address} if is_crowded else {"in_all": self._in_all}
            self._lines.log(_log.warning, "connection_refused", key=is_crowded, **limit)
            return False
        self._counts[network] += 1
        self._count += 1
        return True

    def note_unread(self, waiting_bytes: int) -> None:
        """Log that a client was disconnected because it took nothing of what waits for it."""
        self._lines.log(_log.warning, "response_not_read", key="unread", waiting_bytes=waiting_bytes)

    def release(self, address: str) -> None:
        """Count a connection that was admitted and has ended."""
        network = network_of(address)
        self._count -= 1
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]


def raise_descriptor_limit() -> None:
    """Let this process have as many files and connections as the system permits: the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
