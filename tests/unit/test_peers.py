"""The address of a client, as its connection or a trusted proxy says."""

import pytest

from api_stub.server.peers import TrustedProxies, network_of

PROXIES = TrustedProxies("127.0.0.1, ::1,10.0.0.0/8")


@pytest.mark.parametrize(
    ("client", "forwarded"),
    [
        ("192.0.2.1", [b"192.0.2.1"]),
        ("192.0.2.1", [b"198.51.100.7, 192.0.2.1, 10.1.2.3"]),
        ("192.0.2.1", [b"198.51.100.7", b"192.0.2.1"]),
        ("192.0.2.1", [b"192.0.2.1:4711"]),
        ("192.0.2.1", [b"::ffff:192.0.2.1"]),
        ("2001:db8::1", [b"2001:DB8::1"]),
        ("2001:db8::1", [b"[2001:db8::1]"]),
        ("2001:db8::1", [b"[2001:db8::1]:4711"]),
        ("10.1.2.3", [b"10.1.2.3"]),
        ("127.0.0.1", [b"garbage"]),
        ("127.0.0.1", [b""]),
        ("127.0.0.1", [b"192.0.2.1, unknown"]),
        ("127.0.0.1", [b"192.0.2.1, _hidden:1"]),
        ("10.9.9.9", [b"192.0.2.1, unknown, 10.9.9.9"]),
        ("127.0.0.1", [b"999.0.2.1"]),
        ("127.0.0.1", [b"\xff"]),
    ],
)
def test_the_last_address_that_is_no_proxy_counts_and_a_word_counts_as_its_proxy(
    client: str, forwarded: list[bytes]
) -> None:
    assert client == PROXIES.client_of("127.0.0.1", forwarded)


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("10.200.0.1", True),
        ("::ffff:10.0.0.5", True),
        ("::1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("", False),
        ("garbage", False),
    ],
)
def test_an_address_within_ipv6_is_trusted_as_the_one_of_ipv4(address: str, *, is_trusted: bool) -> None:
    assert is_trusted == PROXIES.trust(address)


def test_an_ipv6_customer_counts_as_one() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::2")
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert "10.0.0.5" == network_of("::ffff:10.0.0.5")
