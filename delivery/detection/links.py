"""Links and addresses in a text: which hosts it names, and which domain was registered for each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from publicsuffixlist import PublicSuffixList

from delivery.detection.folding import fold

_LINK = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,15}://)?(?P<user>[^\s/@<>()\[\]\"']{1,64}@)?"
    r"(?P<host>(?:[^\W_][\w-]{0,62}\.)+[^\W\d_][\w-]{1,62}|(?<=/)\d{1,3}(?:\.\d{1,3}){3}|(?<=/)0x[0-9a-f]+"
    r"|(?<=/)\d{8,10})(?::\d{1,5})?(?P<path>/[^\s<>\"']*)?",
    re.IGNORECASE,
)
_HINT = re.compile(r"[^\W_]\.[^\W_]|//")
"""What each link and address has somewhere. Words without it are not looked at further."""

_INNER_DOT = re.compile(r"\.(?<=[^\W_]\.)[^\W_]")
"""A dot between letters or digits. It begins with the dot, so that the search jumps from dot to dot."""

_OTHER_DOTS = re.compile("(?<=[A-Za-z0-9])[\u3002\uff0e\uff61](?=[A-Za-z0-9])")
"""Full stops of East Asian scripts, which browsers take for dots. Between ideographs they end sentences."""

_RESERVED = frozenset({"example", "test", "invalid", "localhost"})  # RFC 2606; used in examples and tests.
_SCRIPTS_LIKE_LATIN = re.compile("[\u0370-\u052f\u13a0-\u13ff]")


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a text. `domain` is the part of its host that was registered; an IP address is its own."""

    host: str
    domain: str
    has_path: bool
    has_user: bool = False
    is_address: bool = False

    @property
    def is_punycode(self) -> bool:
        """Whether a label of the host is written in punycode (RFC 3492)."""
        return "xn--" in self.host

    @property
    def is_look_alike(self) -> bool:
        """Whether the host mixes Latin letters with Cyrillic, Greek or Cherokee ones that look the same."""
        return any(
            _SCRIPTS_LIKE_LATIN.search(label) is not None and re.search("[a-z]", label) is not None
            for label in self.host.split(".")
        )


@dataclass(frozen=True, slots=True)
class FoundLinks:
    """The links and the e-mail addresses of a text, in the order of the text."""

    links: tuple[Link, ...] = ()
    emails: tuple[str, ...] = ()


def find_links(text: str) -> FoundLinks:
    """Return the links of a text with or without a scheme, and its e-mail addresses in lower case.

    Words with a dot, as in `end.Start`, are links only if they end in a domain that can be registered.
    """
    links, emails = [], []
    for match in _candidates(text):
        host, user = match["host"].lower(), match["user"]
        if user and not match["scheme"]:
            if registrable_domain(host):
                emails.append(f"{user}{host}".lower())
        elif not _ends_sentence(match) and (domain := registrable_domain(host)):
            links.append(
                Link(host, domain, bool(match["path"]), bool(user), is_address=domain == host and _is_ip(host))
            )
    return FoundLinks(tuple(links), tuple(emails))


def _candidates(text: str) -> Iterator[re.Match[str]]:
    text = text if text.isascii() else _OTHER_DOTS.sub(".", text)
    if "//" in text or _INNER_DOT.search(text):
        for word in text.split():
            if _HINT.search(word):
                yield from _LINK.finditer(word)


def _ends_sentence(match: re.Match[str]) -> bool:
    """Whether the dot rather ends a sentence, as in `Yes.No`: the word after it begins with a capital."""
    last = match["host"].rpartition(".")[2]
    return not match["scheme"] and not match["path"] and last[:1].isupper() and not last.isupper()


def looks_like_host(host: str, own_hosts: frozenset[str]) -> bool:
    """Whether a host that is not ours reads as one of ours: by look-alikes, or with it as a part of its name."""
    if any(host == own or host.endswith(f".{own}") for own in own_hosts):
        return False
    letters = fold(host).letters
    return any(_name_of(own) in letters for own in own_hosts)


@lru_cache(maxsize=4096)
def registrable_domain(host: str) -> str | None:
    """Return the registered part of a host such as `b.example` of `a.b.example`; None if it can be no public host."""
    if _is_ip(host):
        return host
    labels = host.split(".")
    if labels[-1] in _RESERVED:
        return ".".join(labels[-2:])
    domain: str | None = _suffixes().privatesuffix(_encoded(host))
    return domain


def _is_ip(host: str) -> bool:
    if host.isdigit() or host.startswith("0x"):
        return True
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


@lru_cache(maxsize=64)
def _name_of(host: str) -> str:
    """Return the folded registered name of a host without its suffix: `linguasquare` of `www.linguasquare.example`."""
    domain = registrable_domain(host) or host
    return fold(domain.partition(".")[0]).letters


def _encoded(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)
