"""The doctor checks the rules in force: they compile, their examples come out, none fails and none holds too much."""

import json

import pytest

from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rules.rule_set import Example, Mode, Rule, RuleSet
from tasks.check_results import CheckResult, Severity
from tasks.rule_checks import check_rules, read_in_force
from tests.support.fixtures import Fixtures

GOOD = Rule("good", "text.links > 0", mode=Mode.LIVE, must_hit=(Example("a.example/1"),), must_miss=(Example("hello"),))
BAD = Rule("bad", "text.links > 5", mode=Mode.LIVE, must_hit=(Example("a.example/1"),))


def checked(fixtures: Fixtures) -> CheckResult:
    """Check the rules in force."""
    with transaction(fixtures.database) as db:
        return next(check_rules(read_in_force(db)))


def put_in_force(fixtures: Fixtures, *rules: Rule) -> None:
    """Store a set of these rules without checking it."""
    with transaction(fixtures.database) as db:
        store.store(db, RuleSet(rules), made_by="a test", comment="")


def test_rules_whose_examples_come_out_are_well(fixtures: Fixtures) -> None:
    without = checked(fixtures)
    put_in_force(fixtures, GOOD)

    assert [Severity.OK, Severity.OK] == [without.severity, checked(fixtures).severity]


def test_a_live_rule_that_fails_its_example_is_named(fixtures: Fixtures) -> None:
    put_in_force(fixtures, GOOD, BAD)

    result = checked(fixtures)

    assert (Severity.FAULT, 1) == (result.severity, result.count)
    assert "Rule bad does not hit its example must_hit 1" in result.rows[0]


def test_a_rule_that_is_not_live_is_not_tried(fixtures: Fixtures) -> None:
    put_in_force(fixtures, GOOD, Rule("bad", BAD.when, mode=Mode.SHADOW, must_hit=BAD.must_hit))

    assert Severity.OK is checked(fixtures).severity


@pytest.mark.parametrize("when", ["text.linkz > 0", "text.links >"])
def test_a_rule_that_does_not_compile_is_named(fixtures: Fixtures, when: str) -> None:
    document = json.dumps({"rules": [{"name": "broken", "when": when, "mode": "live"}]})
    fixtures.run_sql(
        "INSERT INTO rule_set (document, made_by, comment) VALUES (CAST(:document AS jsonb), '', '')", document=document
    )

    result = checked(fixtures)

    assert Severity.FAULT is result.severity
    assert result.rows[0].startswith("Rule broken: line 1")
