"""The answers about rules, word lists and policy."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from delivery.records.rule_sets.store import Edition
from delivery.rulebook.documents import write_rule_set
from delivery.rules import rule_edits
from delivery.rules.rule_set import Action, ListKind, Mode, PolicyRow, Rule, RuleSet, WordList
from delivery.vocabulary import MessageType, RuleVerdict, Trust


class RuleSetMeta(BaseModel):
    """The number of the rule set that the answer is about; 0 where none was made."""

    rule_set: int


class RuleData(BaseModel):
    """A rule. `document` has all of it as YAML, with its examples."""

    name: str
    version: int
    mode: Mode
    asks_for: Action
    when: str
    reason: str
    owner: str
    waits_for_second_person: bool
    document: str


class RuleList(BaseModel):
    """The answer about all rules."""

    success: Literal[1] = 1
    meta: RuleSetMeta
    data: list[RuleData]


class RuleDetail(BaseModel):
    """The answer about one rule."""

    success: Literal[1] = 1
    meta: RuleSetMeta
    data: RuleData


class RuleSetData(BaseModel):
    """A rule set as YAML, and what changed since the set before, a line each."""

    document: str
    changes: list[str]


class RuleSetDetail(BaseModel):
    """The answer about one rule set."""

    success: Literal[1] = 1
    meta: RuleSetMeta
    data: RuleSetData


class CheckedRulesData(BaseModel):
    """What is wrong with a document, a sentence each; empty for a good one."""

    faults: list[str]


class CheckedRules(BaseModel):
    """The answer about a document that was checked."""

    success: Literal[1] = 1
    meta: RuleSetMeta
    data: CheckedRulesData


class EditionData(BaseModel):
    """A rule set without its content: who made it, when and why."""

    number: int
    made_at: datetime
    made_by: str
    comment: str


class EditionList(BaseModel):
    """The answer about the newest rule sets, newest first."""

    success: Literal[1] = 1
    meta: RuleSetMeta
    data: list[EditionData]


class WordListData(BaseModel):
    """A word list and how many entries it has."""

    name: str
    kind: ListKind
    meaning: str
    entry_count: int


class WordListList(BaseModel):
    """The answer about all word lists."""

    success: Literal[1] = 1
    meta: RuleSetMeta
    data: list[WordListData]


class WordListEntries(BaseModel):
    """The entries of a list."""

    name: str
    entries: list[str]


class WordListDetail(BaseModel):
    """The answer about one word list."""

    success: Literal[1] = 1
    meta: RuleSetMeta
    data: WordListEntries


class PolicyRowData(BaseModel):
    """A row of the policy. Null means any."""

    trust: Trust | None
    type: MessageType | None
    asks_for: Action | None
    then: RuleVerdict


class PolicyDetail(BaseModel):
    """The answer about the policy: the first row that fits a message decides."""

    success: Literal[1] = 1
    meta: RuleSetMeta
    data: list[PolicyRowData]


def build_rule(rule: Rule) -> RuleData:
    """Return a rule as clients see it."""
    return RuleData(
        name=rule.name,
        version=rule.version,
        mode=rule.mode,
        asks_for=rule.action,
        when=rule.when,
        reason=rule.reason,
        owner=rule.owner,
        waits_for_second_person=bool(rule.proposed_by) and rule.mode is not Mode.LIVE,
        document=write_rule_set(RuleSet(rules=(rule,))),
    )


def build_set(rule_set: RuleSet, before: RuleSet) -> RuleSetDetail:
    """Return a rule set as clients see it, with what changed since the one before."""
    data = RuleSetData(document=write_rule_set(rule_set), changes=rule_edits.changes(before, rule_set))
    return RuleSetDetail(meta=meta_of(rule_set), data=data)


def build_editions(rule_set: RuleSet, editions: Sequence[Edition]) -> EditionList:
    """Return the history as clients see it."""
    data = [
        EditionData(number=each.number, made_at=each.made_at, made_by=each.made_by, comment=each.comment)
        for each in editions
    ]
    return EditionList(meta=meta_of(rule_set), data=data)


def build_list(listed: WordList) -> WordListData:
    """Return a word list without its entries."""
    return WordListData(name=listed.name, kind=listed.kind, meaning=listed.meaning, entry_count=len(listed.entries))


def build_policy(rule_set: RuleSet) -> PolicyDetail:
    """Return the policy as clients see it."""
    return PolicyDetail(meta=meta_of(rule_set), data=[_row(each) for each in rule_set.policy])


def meta_of(rule_set: RuleSet) -> RuleSetMeta:
    """Return the number of the set."""
    return RuleSetMeta(rule_set=rule_set.number)


def _row(row: PolicyRow) -> PolicyRowData:
    return PolicyRowData(trust=row.trust, type=row.type, asks_for=row.asked, then=row.then)
