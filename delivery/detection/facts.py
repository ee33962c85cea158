"""The facts that rules ask about a message: their names, types and meanings, in one flat catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

FactValue: TypeAlias = int | bool | str
Facts: TypeAlias = Mapping[str, FactValue]
UNKNOWN = -1
"""The value of a number that is not known, such as days since a first message that was never sent."""


class FactType(StrEnum):
    """The type of a fact's value, by its name in expressions."""

    INT = "int"
    BOOL = "bool"
    STRING = "string"


class FactSource(StrEnum):
    """Where a fact comes from: the message itself, or what tables say about the time before it."""

    MESSAGE = "message"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact: what rules call it, and what it means to a member of staff."""

    name: str
    type: FactType
    source: FactSource
    meaning: str


def _facts(source: FactSource, type_: FactType, meanings: Mapping[str, str]) -> tuple[Fact, ...]:
    return tuple(Fact(name, type_, source, meaning) for name, meaning in meanings.items())


_NUMBERS_OF_TEXT = {
    "text.length": "characters of subject and body, without invisible ones",
    "text.capitals": "per cent of the letters that are capitals; 0 below 20 letters",
    "text.links": "links, with or without `https://`",
    "text.link_domains": "different registered domains among the links",
    "text.foreign_links": "links to neither the platform nor the domain of the sender's address",
    "text.platform_links": "links to the platform itself",
    "text.short_links": "links through a link shortener (list `shorteners`)",
    "text.file_links": "links to a file-sharing service (list `file_shares`)",
    "text.look_alike_links": "links whose host mixes scripts, or reads like one of the platform's without being it",
    "text.punycode_links": "links with a host in punycode (`xn--`)",
    "text.user_links": "links with a user name before the host, as in `https://bank@evil.example`",
    "text.address_links": "links to a bare IP address",
    "text.emails": "e-mail addresses in the text",
    "text.foreign_emails": "e-mail addresses in the text other than the sender's own",
    "text.phones": "numbers that look like telephone numbers",
    "text.handles": "names such as `@anna` that are no e-mail address",
    "text.amounts": "sums of money: a number beside a currency",
    "text.codes": "numbers of 4 to 8 digits that stand alone",
    "text.accounts": "bank accounts: IBANs and card-like numbers",
    "text.exclamations": "exclamation marks",
    "text.questions": "question marks",
    "text.hidden": "invisible characters between the letters of a word",
    "text.directions": "characters that change the direction of writing",
    "text.mixed_words": "words that mix Latin letters with look-alikes of another script",
    "text.split_words": "words written with a separator between all letters, as in `w-h-a-t-s`",
    "text.quotes": "passages in quotation marks",
    "text.masked": "words outside quotation marks that hide characters, mix scripts or have digits for letters",
}
_TRUTHS_OF_TEXT = {
    "text.is_cut": "the text is longer than rules look at (24,000 characters)",
    "sender.has_email": "the message has a sender address",
    "sender.has_free_mail": "the sender address belongs to a free mail provider (list `free_mail`)",
    "sender.name_is_address": "the sender name is an address or a link",
    "sender.name_imitates": "the sender name has a name of the platform",
    "sender.name_hides": "the sender name hides characters or mixes scripts in a word",
    "sender.is_platform": "the sender address is at a domain of the platform",
    "sender.imitates_platform": "the sender address is at a domain that reads like the platform's",
}
_NUMBERS_OF_MESSAGE = {
    "message.recipients": "recipients, 1 to 25",
    "message.hour": "hour of the day in UTC, 0 to 23; -1 where it is not known",
}
_WORDS_OF_MESSAGE = {
    "message.type": "`rfq`, `job` or `other`",
    "client.trust": "how far staff trust the client: `normal`, `trusted` or `watched`",
}
_NUMBERS_OF_HISTORY = {
    "sender.messages": "messages of this sender before",
    "sender.refused": "how many of these rules or staff refused",
    "sender.released": "how many of these staff looked at and let pass; -1 where it is not known",
    "sender.reports": "reports of recipients about this sender; -1 where it is not known",
    "sender.days": "days since the sender's first message",
    "pair.days": "days since the first message between the two, in either direction; -1 if there was none",
    "pair.wrote": "messages of this sender to this recipient before",
    "pair.replies": "messages of this recipient to this sender before; -1 where it is not known",
    "pair.unknown_recipients": "recipients who never had a message from the sender and never wrote to them",
    "repetition.by_sender": "messages with the same text by this sender within 24 hours before",
    "repetition.by_others": "messages with the same text by other senders within 24 hours before",
}
_TRUTHS_OF_HISTORY = {
    "pair.is_first": "there was no message between the sender and at least one of the recipients",
    "sender.is_new": "this is the sender's first message",
}

CATALOGUE: tuple[Fact, ...] = (
    *_facts(FactSource.MESSAGE, FactType.INT, _NUMBERS_OF_TEXT),
    *_facts(FactSource.MESSAGE, FactType.BOOL, _TRUTHS_OF_TEXT),
    *_facts(FactSource.MESSAGE, FactType.INT, _NUMBERS_OF_MESSAGE),
    *_facts(FactSource.MESSAGE, FactType.STRING, _WORDS_OF_MESSAGE),
    *_facts(FactSource.HISTORY, FactType.INT, _NUMBERS_OF_HISTORY),
    *_facts(FactSource.HISTORY, FactType.BOOL, _TRUTHS_OF_HISTORY),
)
"""Every fact beside those that a rule set adds: `list.NAME`, how many entries of a list the text has, and
`score.NAME`, the points of a score. With several recipients, facts about the pair are those of the least known one."""

BY_NAME = {fact.name: fact for fact in CATALOGUE}
