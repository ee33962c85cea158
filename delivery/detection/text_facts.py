"""Facts that stand in the message itself: its texts, its sender's name and address, its shape."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from delivery.detection.facts import UNKNOWN, FactValue
from delivery.detection.folding import FoldedText, fold, without_invisible
from delivery.detection.links import find_links, looks_like_host, registrable_domain
from delivery.detection.masked_words import count_masked, count_quotes
from delivery.detection.sender_names import MisleadingName, misleading_name
from delivery.detection.word_lists import WordLists, split_words

TEXT_LIMIT = 24_000
"""Characters of a text that rules look at, counted without invisible ones and with single blanks."""

_LONG_BLANKS = re.compile(r"\s{3,}")
_DIGITS = re.compile(r"\d")
_PHONE = re.compile(r"(?<![\w.])(?:\+|00)?\(?\d(?:[\s().\u2010-\u2015/-]{0,3}\d){7,14}(?!\w)")
_CODE = re.compile(r"(?<![\w.,+-])\d{4,8}(?![\w.,-])")
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b|\b\d{4}(?:[ -]\d{4}){3}\b")
_CURRENCY = (
    r"(?:[$\u20ac\u00a3\u00a5\u20bd\u20b9\u20a9\u20ba\u20b4\u20aa\u5186\u5143]|\b(?:usd|eur|gbp|chf|jpy|cny|rub|pln|try|uah|brl|euros?|"
    r"dollars?|pounds?|z\u0142|\u20bd|\u0440\u0443\u0431\w*|\u0433\u0440\u043d|tl|lira|\u5143|\u5186|\uc6d0|reais|r\$|pesos?|zlotych|btc|usdt)\b)"
)
_AMOUNT = re.compile(rf"\d[\d.,\u00a0' ]*\s?(?:k\b)?{_CURRENCY}|{_CURRENCY}\s?\d", re.IGNORECASE)
_HANDLE = re.compile(r"(?<![\w.@/])@[\w.]{3,32}")
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_HIDDEN_IN_WORD = re.compile(
    r"(?<=[^\W\d_])[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0\U000e0000-\U000e007f]+"
    r"(?=[^\W\d_])"
)
_MIXED_WORD = re.compile(r"[a-z][\u0370-\u03ff\u0400-\u052f]|[\u0370-\u03ff\u0400-\u052f][a-z]", re.IGNORECASE)
_NUMBERS = (("phones", _PHONE), ("codes", _CODE), ("accounts", _ACCOUNT), ("amounts", _AMOUNT))
_HIDDEN = (("hidden", _HIDDEN_IN_WORD), ("directions", _DIRECTIONS), ("mixed_words", _MIXED_WORD))
_CAPITALS_FROM = 20


@dataclass(frozen=True, slots=True)
class MessageText:
    """What rules read of a message."""

    subject: str
    body: str
    sender_name: str
    sender_email: str = ""
    type: str = "other"
    recipients: int = 1
    client_trust: str = "normal"
    hour: int = UNKNOWN


@dataclass(frozen=True, slots=True)
class DomainLists:
    """Lists of domains that facts about links need, and the platform's own names and domains."""

    shorteners: frozenset[str] = frozenset()
    file_shares: frozenset[str] = frozenset()
    free_mail: frozenset[str] = frozenset()
    platform_domains: frozenset[str] = frozenset()
    platform_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _ReadableText:
    """A message as it is read: what rules see of its text, and the same folded."""

    text: str
    folded: FoldedText
    message: MessageText
    domains: DomainLists


@dataclass(frozen=True, slots=True)
class ReadText:
    """The facts of a message, and its text as it was read."""

    facts: dict[str, FactValue]
    text: _ReadableText

    def add(self, wanted: Collection[str]) -> None:
        """Add the facts of these names that are not there yet, and those that are computed together with them."""
        for names, group in _GROUPS:
            if not names.isdisjoint(wanted) and names.isdisjoint(self.facts):
                self.facts.update(group(self.text))


def read_text(message: MessageText, lists: WordLists, domains: DomainLists) -> ReadText:
    """Return the facts of a message that cost little, with `list.NAME` for every list.

    Those of `READ_LATER` are added where something asks for them (`ReadText.add`).
    """
    text, is_cut = _shorten(f"{message.subject}\n{message.body}")
    folded = fold(text)
    facts: dict[str, FactValue] = dict.fromkeys(lists.fact_names, 0)
    facts.update(lists.count(folded))
    facts["text.length"], facts["text.is_cut"] = len(text), is_cut
    facts["message.recipients"] = message.recipients
    facts["message.type"], facts["message.hour"] = message.type, message.hour
    facts["client.trust"] = message.client_trust
    return ReadText(facts, _ReadableText(text, folded, message, domains))


def _shorten(text: str) -> tuple[str, bool]:
    """Return what rules see of the text, and whether it is cut."""
    visible = without_invisible(text)
    if len(visible) > TEXT_LIMIT:
        visible = _LONG_BLANKS.sub("\n", visible)
    return visible[:TEXT_LIMIT], len(visible) > TEXT_LIMIT


def _style_facts(reading: _ReadableText) -> dict[str, FactValue]:
    text = reading.text
    return {
        "text.exclamations": text.count("!") + text.count("\uff01"),
        "text.questions": text.count("?") + text.count("\uff1f"),
    }


def _capital_facts(reading: _ReadableText) -> dict[str, FactValue]:
    letters = len(reading.folded.letters)
    capitals = sum(map(str.isupper, reading.text)) if letters >= _CAPITALS_FROM else 0
    return {"text.capitals": 100 * capitals // letters if capitals else 0}


def _number_facts(reading: _ReadableText) -> dict[str, FactValue]:
    has_digits = _DIGITS.search(reading.text) is not None
    return {f"text.{name}": len(pattern.findall(reading.text)) if has_digits else 0 for name, pattern in _NUMBERS}


def _hidden_facts(reading: _ReadableText) -> dict[str, FactValue]:
    """Return facts about the text as it was given: with the characters that no reader sees."""
    given = _given(reading)
    return {f"text.{name}": 0 if given.isascii() else len(pattern.findall(given)) for name, pattern in _HIDDEN}


def _masking_facts(reading: _ReadableText) -> dict[str, FactValue]:
    has_split = any(split_words(reading.folded))
    return {
        "text.quotes": count_quotes(reading.text),
        "text.masked": count_masked(_given(reading), has_split=has_split),
    }


def _given(reading: _ReadableText) -> str:
    return f"{reading.message.subject}\n{reading.message.body[:TEXT_LIMIT]}"


def _split_facts(reading: _ReadableText) -> dict[str, FactValue]:
    return {"text.split_words": sum(1 for _ in split_words(reading.folded))}


def _handle_facts(reading: _ReadableText) -> dict[str, FactValue]:
    return {"text.handles": len(_HANDLE.findall(reading.text)) if "@" in reading.text else 0}


_NO_LINKS: dict[str, FactValue] = {
    f"text.{name}": 0
    for name in (
        "links",
        "link_domains",
        "foreign_links",
        "platform_links",
        "short_links",
        "file_links",
        "look_alike_links",
        "punycode_links",
        "user_links",
        "address_links",
        "emails",
        "foreign_emails",
    )
}


def _link_facts(reading: _ReadableText) -> dict[str, FactValue]:
    message, domains, found = reading.message, reading.domains, find_links(reading.text)
    if not found.links and not found.emails:
        return _NO_LINKS
    links, own = found.links, {*domains.platform_domains, _domain_of(message.sender_email)}
    emails = set(found.emails)
    return {
        "text.links": len(links),
        "text.link_domains": len({link.domain for link in links}),
        "text.foreign_links": sum(link.domain not in own for link in links),
        "text.platform_links": sum(link.domain in domains.platform_domains for link in links),
        "text.short_links": sum(link.domain in domains.shorteners for link in links),
        "text.file_links": sum(link.domain in domains.file_shares for link in links),
        "text.look_alike_links": sum(
            link.is_look_alike or looks_like_host(link.host, domains.platform_domains) for link in links
        ),
        "text.punycode_links": sum(link.is_punycode for link in links),
        "text.user_links": sum(link.has_user for link in links),
        "text.address_links": sum(link.is_address for link in links),
        "text.emails": len(emails),
        "text.foreign_emails": len(emails - {message.sender_email.lower()}),
    }


def _name_facts(reading: _ReadableText) -> dict[str, FactValue]:
    kind = misleading_name(reading.message.sender_name, reading.domains.platform_names)
    return {
        "sender.name_is_address": kind is MisleadingName.ADDRESS,
        "sender.name_imitates": kind is MisleadingName.PLATFORM,
        "sender.name_hides": kind is MisleadingName.HIDDEN,
    }


def _address_facts(reading: _ReadableText) -> dict[str, FactValue]:
    domains, domain = reading.domains, _domain_of(reading.message.sender_email)
    return {
        "sender.has_email": bool(reading.message.sender_email),
        "sender.has_free_mail": domain in domains.free_mail,
        "sender.is_platform": domain in domains.platform_domains,
        "sender.imitates_platform": bool(domain) and looks_like_host(domain, domains.platform_domains),
    }


def _domain_of(email: str) -> str:
    host = email.rpartition("@")[2].lower()
    return (registrable_domain(host) or host) if host else ""


_EMPTY = _ReadableText("", FoldedText(), MessageText("", "", ""), DomainLists())
_GROUPS = tuple(
    (frozenset(group(_EMPTY)), group)
    for group in (
        _style_facts,
        _capital_facts,
        _number_facts,
        _hidden_facts,
        _masking_facts,
        _split_facts,
        _handle_facts,
        _link_facts,
        _name_facts,
        _address_facts,
    )
)
"""Facts that are computed together, with their names."""
READ_LATER = frozenset[str]().union(*(names for names, _ in _GROUPS))
"""The facts that cost more than a search for words."""
