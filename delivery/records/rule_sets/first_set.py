"""The first rule set of a database: the shipped one, live in a new store and in shadow in an old one."""

from dataclasses import replace

from sqlalchemy import Connection, text

from delivery.records.rule_sets import store
from delivery.rulebook.shipped_set import shipped_rule_set
from delivery.rules.rule_set import Mode

_MADE_BY = "postroom migrate"


def install(db: Connection) -> None:
    """Store the shipped rule set unless there is one.

    Where messages were sent before, its rules only watch until an operator activates them: an upgrade turns no `sent`
    into `pending`.
    """
    if store.newest_number(db) is not None:
        return
    shipped = shipped_rule_set()
    if db.scalar(text("SELECT EXISTS (SELECT FROM message)")):
        watching = tuple(replace(rule, mode=Mode.SHADOW) for rule in shipped.rules)
        store.store(db, replace(shipped, rules=watching), made_by=_MADE_BY, comment="the shipped rules, in shadow mode")
    else:
        store.store(db, shipped, made_by=_MADE_BY, comment="the shipped rules")
