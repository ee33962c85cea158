"""Links and addresses that a text names, and the domain that was registered for each."""

import pytest

from delivery.detection.links import find_links, looks_like_host, registrable_domain


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        ("see https://a.b.example/x?y=1.", ["b.example"]),
        ("tiny.test/k9, and www.bbc.co.uk", ["tiny.test", "bbc.co.uk"]),
        ("HTTPS://EXAMPLE.COM", ["example.com"]),
        ("http://bank.example@evil.test/login", ["evil.test"]),
        ("http://10.0.0.1/x", ["10.0.0.1"]),
        ("http://0x7f000001/", ["0x7f000001"]),
        ("xn--80ak6aa92e.com", ["xn--80ak6aa92e.com"]),
        ("\u4f8b\u5b50\u3002\u4e2d\u56fd", []),
        ("end.Start again. Yes.No", []),
        ("12.30 Uhr, file.pdf, z.B. so, v1.2.3", []),
        ("mail ada@mail.example", []),
    ],
)
def test_links_are_found_with_their_registered_domain(text: str, domains: list[str]) -> None:
    assert domains == [link.domain for link in find_links(text).links]


def test_addresses_are_no_links() -> None:
    found = find_links("Ask Ada.L+x@Mail.Example or bob@example.org.")

    assert ("ada.l+x@mail.example", "bob@example.org") == found.emails
    assert () == found.links


def test_what_hides_a_host_is_seen() -> None:
    user, mixed, punycode, address = find_links(
        "https://bank@evil.example p\u0430ypal.com xn--pypal-4ve.com http://192.0.2.7/"
    ).links

    assert user.has_user
    assert mixed.is_look_alike
    assert punycode.is_punycode
    assert address.is_address
    assert not user.is_look_alike


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("linguasquare.example", False),
        ("www.linguasquare.example", False),
        ("linguasquare-login.test", True),
        ("1inguasquare.example", True),
        ("lingua-square.test", True),
        ("square.example", False),
    ],
)
def test_a_host_that_reads_like_ours_is_seen(host: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert expected is looks_like_host(host, frozenset({"linguasquare.example"}))


def test_a_host_without_a_public_suffix_has_no_domain() -> None:
    assert registrable_domain("readme.txt") is None
    assert registrable_domain("co.uk") is None
