"""The rule set that a new installation has: rules and scores in one file, word lists in a file each."""

from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from delivery.rulebook.documents import read_document
from delivery.rules.rule_set import RuleSet

_FOLDER = files("delivery.rulebook") / "shipped"


@lru_cache(maxsize=1)
def shipped_rule_set() -> RuleSet:
    """Return the shipped set, without names and domains of a platform."""
    document: dict[str, Any] = _read(_FOLDER / "rules.yaml")
    lists = sorted((_FOLDER / "lists").iterdir(), key=lambda each: each.name)
    return read_document({**document, "lists": [_list(each) for each in lists if each.name.endswith(".yaml")]})


def _list(file: Any) -> dict[str, Any]:
    """Return a list of which the file has the entries by language; each entry stands once in the whole."""
    document: dict[str, Any] = _read(file)
    by_language: dict[str, list[object]] = document.pop("entries")
    entries = list(dict.fromkeys(str(entry) for each in by_language.values() for entry in each or ()))
    return {**document, "name": file.name.removesuffix(".yaml"), "entries": entries}


def _read(file: Any) -> Any:
    return yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader)
