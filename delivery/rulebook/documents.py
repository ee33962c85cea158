"""Rule sets as YAML: read with a sentence for every fault, and written so that they can be read again."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from delivery.rules.rule_set import PolicyRow, RuleSet, faults_of

_ADAPTER = TypeAdapter(RuleSet)
SIZE_LIMIT = 16 * 1024 * 1024


class InvalidRuleSet(ValueError):  # noqa: N818 - the fault of its author, named as such
    """A document that is no usable rule set. `faults` has a sentence for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


def read_rule_set(text: str) -> RuleSet:
    """Return the rule set of a YAML document. Raises `InvalidRuleSet` with all faults of one stage."""
    if len(text) > SIZE_LIMIT:
        raise InvalidRuleSet([f"The document has more than {SIZE_LIMIT // 1024 // 1024} MiB."])
    try:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise InvalidRuleSet([f"This is no YAML: {' '.join(str(error).split())}."]) from error
    return read_document(document)


def read_document(document: object) -> RuleSet:
    """Return the rule set of a document that was read from YAML or JSON. Raises `InvalidRuleSet`."""
    try:
        rule_set = _ADAPTER.validate_python(document)
    except ValidationError as error:
        raise InvalidRuleSet([_sentence(dict(each)) for each in error.errors()]) from error
    if faults := faults_of(rule_set):
        raise InvalidRuleSet(faults)
    return rule_set


def read_stored(document: object, number: int) -> RuleSet:
    """Return a stored rule set under its number. Raises `InvalidRuleSet`."""
    return replace(read_document(document), number=number)


def read_policy(text: str) -> tuple[PolicyRow, ...]:
    """Return the policy of a YAML document, a list of rows. Raises `InvalidRuleSet`."""
    try:
        rows = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise InvalidRuleSet([f"This is no YAML: {' '.join(str(error).split())}."]) from error
    return read_document({"policy": rows}).policy


def to_document(rule_set: RuleSet) -> dict[str, Any]:
    """Return the rule set as plain values, without what has its default."""
    document: dict[str, Any] = _plain(rule_set)
    return document


def write_rule_set(rule_set: RuleSet) -> str:
    """Return the rule set as YAML that `read_rule_set` reads back as the same set, but for its number."""
    return yaml.safe_dump(to_document(rule_set), allow_unicode=True, sort_keys=False, width=110)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        held = {each.name: (getattr(value, each.name), each.default) for each in fields(value) if each.name != "number"}
        return {
            name: _plain(one) for name, (one, default) in held.items() if one != default and one not in ((), {}, "")
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (tuple, list)) else value


def _sentence(error: Mapping[str, Any]) -> str:
    place = ".".join(str(each) for each in error["loc"]) or "document"
    words = "there is no such field" if error["type"] == "unexpected_keyword_argument" else str(error["msg"])
    return f"{place}: {words}."
