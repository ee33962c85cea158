"""Query plans: what PostgreSQL would do for a statement, and whether it finds its rows by index."""

import json
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from delivery.records.database import Database
from tests.support.statements import Statement

TABLES = {"recipient", "message", "account", "preference", "inbox_letter", "vetting_case"}
"""The tables that grow."""

# Our connections turn sequential scans off. The statements must do without that.
_FREE = text("SET LOCAL enable_seqscan = on")


def scans_of(plan: Any, tables: set[str]) -> list[Any]:
    """Return the parts of a plan that touch one of these tables."""
    return [node for node in nodes(plan) if node.get("Relation Name") in tables]


def without_key(scans: list[Any]) -> list[str]:
    """Return these parts as JSON, unless they find their rows by key."""
    return [json.dumps(node, indent=1) for node in scans if not _is_by_key(node)]


def _is_by_key(node: Any) -> bool:
    return node["Node Type"] == "ModifyTable" or "Index Cond" in node or "Recheck Cond" in node


def assert_by_index(database: Database, statements: list[Statement]) -> None:
    """Check that none of these statements reads a whole table, with its values known or unknown."""
    assert statements
    for each in statements:
        for plan in (_plan_with_values(database, each), plan_without_values(database, each)):
            scanned = {node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
            assert set() == scanned & TABLES, f"{each.sql}\n{json.dumps(plan, indent=1)}"


def assert_by_key(database: Database, statements: list[Statement]) -> None:
    """Check that these statements read only the rows that their values name, with values known or unknown.

    An index of all open rows is no key: where statistics are from a quiet hour the planner takes it for short, and a
    statement that uses it reads a whole backlog each time.
    """
    assert statements
    for each in statements:
        for plan in (_plan_with_values(database, each), plan_without_values(database, each)):
            assert [] == without_key(scans_of(plan, TABLES)), each.sql


def assert_in_order(database: Database, statements: list[Statement]) -> None:
    """Check that these statements read rows in their order, so that they end at their limit, and drop none of them."""
    assert statements
    for each in statements:
        for plan in (_plan_with_values(database, each), plan_without_values(database, each)):
            (page,) = [node for node in nodes(plan) if node["Node Type"] == "Limit"]
            wasteful = [node for node in _main_nodes(page) if node["Node Type"] == "Sort" or "Filter" in node]
            assert [] == wasteful, f"{each.sql}\n{json.dumps(plan, indent=1)}"


def _main_nodes(plan: Any) -> Iterator[Any]:
    """Yield the parts of a plan that find its rows, without those that add a column to each row found."""
    yield plan
    for each in plan.get("Plans", []):
        if each["Parent Relationship"] != "SubPlan":
            yield from _main_nodes(each)


def _plan_with_values(database: Database, statement: Statement) -> Any:
    with database.connect() as db:
        db.execute(_FREE)
        ((rows,),) = db.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.values)
    return rows[0]["Plan"]


def plan_without_values(database: Database, statement: Statement, *, as_connected: bool = False) -> Any:
    """Return the plan that PostgreSQL makes once for all values: with sequential scans, or `as_connected` without."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement.sql)))
    sql = re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", statement.sql)
    with database.connect() as db:
        if not as_connected:
            db.execute(_FREE)
        ((rows,),) = db.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}")
    return rows[0]["Plan"]


def nodes(plan: Any) -> Iterator[Any]:
    """Yield every part of a plan."""
    yield plan
    for each in plan.get("Plans", []):
        yield from nodes(each)
