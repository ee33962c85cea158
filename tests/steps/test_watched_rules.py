"""A new rule that holds too much alarms, stops holding once staff released most, and what it held can be released."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from delivery.records.database import transaction
from delivery.records.rule_sets import store, watch
from delivery.records.rule_sets.held_alone import held_by_only
from delivery.rules import rule_edits
from delivery.rules.rule_alarms import AlarmKind, RuleAlarm, YoungRule
from delivery.rules.rule_set import Action, Mode, PolicyRow, Rule, RuleSet, WordList
from delivery.vocabulary import CaseState, RuleVerdict, State, Trust
from tasks.check_results import Severity
from tasks.context import StepContext
from tasks.rule_checks import check_rules, read_in_force
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tasks.steps.watch_rules import find_alarms, watch_rules
from tests.support.fixtures import Fixtures
from tests.support.query_plans import TABLES, plan_without_values, scans_of
from tests.support.statements import counted
from worker.cli.app import app

WILD = Rule("wild", "text.questions > 0", mode=Mode.LIVE, reason="A question.")
OTHER = Rule("other", "text.links > 0", mode=Mode.LIVE, reason="A link.")
FAILING = Rule("failing", "100 / text.links > 1000", mode=Mode.LIVE)
Run = Callable[..., Any]


@pytest.fixture
def send(fixtures: Fixtures, context: StepContext) -> Callable[..., list[UUID]]:
    """Return a function that sends messages, each from a sender of its own, and opens cases for those that are held."""

    def send_each(bodies: Sequence[str], sender: str = "") -> list[UUID]:
        account = fixtures.account()
        messages = [
            fixtures.message(account, body=body, sender_email=sender or f"nr{number}@a.example")
            for number, body in enumerate(bodies)
        ]
        decide(context, messages)
        vet(context, messages)
        return messages

    return send_each


def put_in_force(fixtures: Fixtures, *rules: Rule, **parts: Any) -> RuleSet:
    """Store these rules as the set in force."""
    with transaction(fixtures.database) as db:
        number = store.newest_number(db) or 0
        store.store(db, RuleSet(rules, number=number, **parts), made_by="a test", comment="")
        return store.read_newest(db)


def alarms(fixtures: Fixtures) -> list[RuleAlarm]:
    """Return the rules that alarm now."""
    with transaction(fixtures.database) as db:
        return watch.alarms(db)


def decide_cases(fixtures: Fixtures, messages: Sequence[UUID], state: CaseState) -> None:
    """Record that staff decided the cases of these messages so."""
    fixtures.run_sql(
        "UPDATE vetting_case SET state = :state, decided_at = clock_timestamp() WHERE message_id = ANY(:ids)",
        state=state,
        ids=list(messages),
    )


def test_a_new_rule_that_holds_too_much_of_many_senders_alarms(fixtures: Fixtures, send: Any) -> None:
    put_in_force(fixtures, WILD)
    send(["why?"] * 9)
    few = alarms(fixtures)
    send(["why?"] * 10)

    (alarm,) = alarms(fixtures)

    assert [] == few
    assert (AlarmKind.HOLDS_TOO_MUCH, "wild@1") == (alarm.kind, str(alarm))
    assert (19, 19, 10) == (alarm.share.held, alarm.share.judged, alarm.share.senders)


def test_one_sender_who_is_held_often_is_no_alarm(fixtures: Fixtures, send: Any) -> None:
    put_in_force(fixtures, WILD)
    send(["why?"] * 20, sender="one@a.example")

    assert [] == alarms(fixtures)


def test_five_per_cent_are_no_alarm(fixtures: Fixtures, send: Any) -> None:
    put_in_force(fixtures, WILD)
    send(["why?"] * 10 + ["good morning"] * 190)

    assert [] == alarms(fixtures)


@pytest.mark.parametrize("rule", [replace(WILD, action=Action.NOTE), replace(WILD, mode=Mode.SHADOW)])
def test_a_rule_that_holds_nothing_is_no_alarm(fixtures: Fixtures, send: Any, rule: Rule) -> None:
    put_in_force(fixtures, rule)
    send(["why?"] * 20)

    assert [] == alarms(fixtures)


def test_an_old_rule_is_no_alarm_until_a_list_of_it_changes(fixtures: Fixtures, send: Any) -> None:
    rule = Rule("listed", "list.words > 0", mode=Mode.LIVE)
    first = put_in_force(fixtures, rule, lists=(WordList("words", ("cheque",)),))
    fixtures.run_sql("UPDATE rule_set SET made_at = made_at - INTERVAL '2 days'")
    send(["cheque"] * 20)
    old = alarms(fixtures)
    with transaction(fixtures.database) as db:
        store.store(db, rule_edits.with_entries(first, "words", add=["why"]), made_by="a test", comment="")
    send(["why"] * 20)

    (alarm,) = alarms(fixtures)

    assert [] == old
    assert (20, 20) == (alarm.share.held, alarm.share.judged)


def test_a_rule_that_fails_alarms(fixtures: Fixtures, send: Any) -> None:
    put_in_force(fixtures, FAILING)
    (message,) = send(["no link"])

    (alarm,) = alarms(fixtures)

    assert [State.HELD] == fixtures.states(message)
    assert (AlarmKind.FAILS, "failing@1", 1) == (alarm.kind, str(alarm), alarm.share.held)


def test_the_doctor_names_rules_that_hold_too_much_or_fail(fixtures: Fixtures, send: Any) -> None:
    put_in_force(fixtures, WILD, FAILING)
    send(["why?"] * 20)
    with transaction(fixtures.database) as db:
        results = list(check_rules(read_in_force(db)))

    assert [Severity.OK, Severity.FAULT, Severity.FAULT] == [each.severity for each in results]
    assert "wild@1 (20 of 20 messages, from 20 senders)" in results[1].rows
    assert ("failing@1 (20 messages)",) == results[2].rows


def test_one_worker_looks_in_a_minute(fixtures: Fixtures, send: Any) -> None:
    put_in_force(fixtures, WILD)
    send(["why?"] * 20)
    with transaction(fixtures.database) as db:
        turns = [len(find_alarms(db, 500)) for _ in range(2)]
        db.exec_driver_sql("UPDATE rule_watch SET checked_at = checked_at - INTERVAL '1 minute'")
        turns.append(len(find_alarms(db, 500)))

    assert [1, 0, 1] == turns


def test_an_alarm_is_a_line_in_the_log(context: StepContext, fixtures: Fixtures, send: Any) -> None:
    put_in_force(fixtures, WILD)
    send(["why?"] * 20)
    with capture_logs() as lines:
        watch_rules(context, alarms(fixtures))

    (line,) = [each for each in lines if each["event"] == "rule_holds_too_much"]
    assert ("wild", 20, "error") == (line["rule"], line["held"], line["log_level"])
    assert Action.HOLD is in_force(fixtures).rules[0].action


@pytest.mark.parametrize(("released", "action"), [(5, Action.HOLD), (6, Action.NOTE)])
def test_a_rule_stops_holding_once_staff_released_most(
    context: StepContext, fixtures: Fixtures, send: Any, released: int, action: Action
) -> None:
    put_in_force(fixtures, WILD)
    messages = send(["why?"] * 20)
    decide_cases(fixtures, messages[:5], CaseState.REJECTED)
    decide_cases(fixtures, messages[5 : 5 + released], CaseState.APPROVED)

    watch_rules(context, alarms(fixtures))

    assert action is in_force(fixtures).rules[0].action
    (later,) = send(["why?"])
    assert [State.HELD if action is Action.HOLD else State.DELIVERED] == fixtures.states(later)


def in_force(fixtures: Fixtures) -> RuleSet:
    """Return the set in force."""
    with transaction(fixtures.database) as db:
        return store.read_newest(db)


@pytest.fixture
def run(command: Run) -> Run:
    """Return the command `postroom`."""
    return partial(command, app)


def test_what_only_one_version_holds_is_released_after_a_preview(fixtures: Fixtures, send: Any, run: Run) -> None:
    put_in_force(fixtures, WILD, OTHER)
    alone, both, closed = send(["why?", "why? a.example/1", "and why?"])
    decide_cases(fixtures, [closed], CaseState.REJECTED)

    refused = run("rules", "release", "wild@1")
    waiting = fixtures.states(alone)
    done = run("rules", "release", "wild@1", "--yes")

    assert (1, [State.HELD]) == (refused.exit_code, waiting)
    assert "1 message wait" in refused.output.replace("waits", "wait")
    assert (0, True) == (done.exit_code, "released 1 message" in done.output)
    assert [[State.DELIVERED], [State.HELD]] == [fixtures.states(each) for each in (alone, both)]
    (case,) = fixtures.run_sql("SELECT state, released_with FROM vetting_case WHERE message_id = :id", id=alone)
    assert ("approved", "wild@1") == (case.state, case.released_with)


def test_what_policy_holds_anyway_is_not_released(fixtures: Fixtures, context: StepContext, send: Any) -> None:
    watched = (PolicyRow(RuleVerdict.HOLD, trust=Trust.WATCHED), PolicyRow(RuleVerdict.HOLD, asked=Action.HOLD))
    put_in_force(fixtures, WILD, policy=watched)
    fixtures.run_sql("UPDATE client SET trust = 'watched'")
    send(["why?"])
    with transaction(context.database) as db:
        assert [] == held_by_only(db, "wild", 1)


def test_stopping_a_rule_offers_what_it_held(fixtures: Fixtures, send: Any, run: Run) -> None:
    put_in_force(fixtures, WILD)
    send(["why?", "why not?"])

    noted = run("rules", "note", "wild")
    stopped = run("rules", "stop", "wild")

    assert "postroom rules release wild@1" in noted.output
    assert (0, False) == (stopped.exit_code, "release" in stopped.output)


@pytest.mark.parametrize("rule", ["wild", "wild@", "wild@x"])
def test_a_release_needs_a_version(fixtures: Fixtures, run: Run, rule: str) -> None:
    put_in_force(fixtures, WILD)

    assert 1 == run("rules", "release", rule, "--yes").exit_code


def test_a_release_counts_as_no_look_of_staff(fixtures: Fixtures, send: Any, run: Run) -> None:
    put_in_force(fixtures, WILD)
    send(["why?"] * 20)
    run("rules", "release", "wild@1", "--yes", "--last", "1h")

    (alarm,) = alarms(fixtures)

    assert (0, 0) == (alarm.share.released, alarm.share.upheld)


def test_the_watch_over_rules_reads_only_new_messages(large_fixtures: Fixtures) -> None:
    young = YoungRule("wild", 1, datetime.now(UTC) - timedelta(hours=1), 1)

    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        watch.share_of(db, young)
        held_by_only(db, "wild", 1)

    for each in statements:
        plan = plan_without_values(large_fixtures.database, each, as_connected=True)
        assert [] == [node for node in scans_of(plan, TABLES | {"rule_hit"}) if node["Node Type"] == "Seq Scan"]
