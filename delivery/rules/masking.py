"""Mask what may be personal or content in texts of others, so that the rest can be logged and stored for operators."""

import re

_ADDRESS = re.compile(r"[^\s<>\"'`,;:()\[\]]+@[^\s<>\"'`,;:()\[\]]+")
_QUOTED = re.compile(r"(?<!\w)(['\"`]).*?\1(?!\w)", re.DOTALL)
_FROM_FIRST_QUOTE = re.compile(r"(?<!\w)['\"`].*", re.DOTALL)
_LIMIT = 300


def mask_addresses(text: str) -> str:
    """Return one line of at most 300 characters, in which e-mail addresses and what stands in quotes are masked."""
    return _one_line(_ADDRESS.sub("[address]", _QUOTED.sub("[...]", text)))


def mask_values(text: str) -> str:
    """Return the same, masked from the first quote to the end: errors quote the value that they are about.

    The value may hold quotes itself, so that its end cannot be found.
    """
    return _one_line(_ADDRESS.sub("[address]", _FROM_FIRST_QUOTE.sub("[...]", text)))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LIMIT]
