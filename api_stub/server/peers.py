"""Addresses of clients: of the connection, or as a trusted proxy says in `X-Forwarded-For`."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

FORWARDED_HEADER = b"x-forwarded-for"

_NETWORK_BYTES = 8
Address = IPv4Address | IPv6Address


class TrustedProxies:
    """The proxies whose word about the address of a client counts (setting `trusted_proxies`)."""

    def __init__(self, proxies: str) -> None:
        given = filter(None, (each.strip() for each in proxies.split(",")))
        self._networks = [ip_network(each, strict=False) for each in given]
        self._trust = lru_cache(4096)(self._compute_trust)

    def trust(self, address: str) -> bool:
        """Return whether this is the address of a trusted proxy."""
        return self._trust(address)

    def client_of(self, proxy: str, forwarded: Iterable[bytes]) -> str:
        """Return the address of the client behind this proxy, as the values of its header say.

        Each proxy adds the address that it saw, so the last one that is no proxy counts. What is no address counts as
        the proxy that said so: otherwise each invented word would have limits of its own.
        """
        client = proxy
        for text in reversed(b",".join(forwarded).decode("latin-1").split(",")):
            address = _read_address(text.strip())
            if address is None:
                return client
            client = str(address)
            if not self.trust(client):
                return client
        return client

    def _compute_trust(self, address: str) -> bool:
        parsed = _read_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 that one customer gets (RFC 6177)."""
    if ":" not in address:
        return address
    parsed = _read_address(address)
    if isinstance(parsed, IPv6Address):
        return parsed.packed[:_NETWORK_BYTES].hex()
    return address if parsed is None else str(parsed)


def _read_address(text: str) -> Address | None:
    """Read an address, with or without port and brackets; one of IPv4 within IPv6 is one of IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
