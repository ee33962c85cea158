"""`postroom rules`, `lists` and `policy` show, change and try the rule set in force."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rules.rule_set import Action, Mode, Rule, RuleSet, WordList
from delivery.vocabulary import State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.review import decide_case
from tasks.steps.vet import vet
from tests.support.build import APPROVED, REJECTED
from tests.support.fixtures import Fixtures
from worker.cli.app import app

Run = Callable[..., Any]
RULES = RuleSet(
    rules=(
        Rule("cheques", "list.cheques > 0", mode=Mode.LIVE, reason="A cheque."),
        Rule("questions", "text.questions > 0", mode=Mode.SHADOW, reason="A question."),
        Rule("ban", "text.links > 3", Action.REFUSE, reason="Many links."),
    ),
    lists=(WordList("cheques", ("money order*",)),),
)


@pytest.fixture
def run(command: Run, fixtures: Fixtures) -> Run:
    """Return the command `postroom`, with a rule set in force."""
    with transaction(fixtures.database) as db:
        store.store(db, RULES, made_by="a test", comment="first")
    return partial(command, app)


def shown(result: Any) -> Any:
    """Return the JSON that a command printed."""
    assert 0 == result.exit_code, result.output
    return json.loads(result.output)


def modes(run: Run) -> list[str]:
    """Return the modes of the rules in force."""
    return [rule["mode"] for rule in shown(run("rules", "list", "--json"))["rules"]]


def test_rules_are_listed_activated_and_stopped(run: Run) -> None:
    assert ["live", "shadow", "draft"] == modes(run)

    assert 0 == run("rules", "activate", "questions").exit_code
    assert 0 == run("rules", "stop", "cheques", "--comment", "too many").exit_code

    assert ["draft", "live", "draft"] == modes(run)
    history = shown(run("rules", "history", "--json"))["rule_sets"]
    assert ["too many", "questions: live", "first"] == [each["comment"] for each in history]
    difference = run("rules", "diff", history[-1]["number"]).output
    assert ["rule cheques mode: live -> draft", "rule questions mode: shadow -> live"] == difference.splitlines()


def test_a_rule_that_refuses_goes_live_with_a_second_person(run: Run) -> None:
    first = run("rules", "activate", "ban", "--as", "ada")
    again = run("rules", "activate", "ban", "--as", "ada")

    assert [1, 1] == [first.exit_code, again.exit_code]
    assert "draft" == modes(run)[2]
    assert 0 == run("rules", "activate", "ban", "--as", "grace").exit_code
    assert "live" == modes(run)[2]


def test_a_set_is_exported_changed_checked_and_imported(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(run("rules", "export").output.replace("A cheque.", "A cheque or money order."))

    assert 0 == run("rules", "check", str(file)).exit_code
    assert 0 == run("rules", "import", str(file), "--as", "ada").exit_code

    cheques = shown(run("rules", "show", "cheques", "--json"))
    assert ("A cheque or money order.", 2) == (cheques["reason"], cheques["version"])


def test_a_file_with_faults_is_refused_and_nothing_is_changed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{name: a, when: text.linkz > 1}, {name: b, when: 'true', must_miss: [{body: x}]}]")

    result = run("rules", "import", str(file))

    assert 2 == result.exit_code
    assert "there is no fact or list text.linkz" in result.output
    assert ["live", "shadow", "draft"] == modes(run)


def test_entries_of_lists_are_shown_added_and_removed(run: Run) -> None:
    run("lists", "add", "cheques", "postal order*")
    run("lists", "remove", "cheques", "money order*")

    assert ["postal order*"] == run("lists", "show", "cheques").output.splitlines()
    assert [{"name": "cheques", "kind": "phrases", "entries": 1}] == shown(run("lists", "list", "--json"))["lists"]
    assert 1 == run("lists", "show", "nothing").exit_code
    assert "watched" in run("policy", "show").output


def test_a_rule_is_tried_on_stored_messages(run: Run, fixtures: Fixtures, context: StepContext, tmp_path: Path) -> None:
    messages = [fixtures.message(fixtures.account(), body=body) for body in ("a money order", "hello?", "money orders")]
    decide(context, messages)
    vet(context, messages)
    for message, decision in ((messages[0], REJECTED), (messages[2], APPROVED)):
        decide_case(context, fixtures.case(message).case_id, decision)
    state = tmp_path / "state.json"

    counted = shown(run("rules", "test", "cheques", "--last", "1d", "--json", "--processes", 1, "--state", str(state)))
    again = shown(run("rules", "test", "cheques", "--last", "1d", "--json", "--processes", 1, "--state", str(state)))
    questions = shown(run("rules", "test", "questions", "--last", "1d", "--json", "--processes", 1))

    rule = counted["rules"]["cheques"]
    assert (3, 2, 2) == (counted["messages"], counted["held"], counted["held_before"])
    assert (2, 1, 1, 0) == tuple(rule[key] for key in ("hits", "staff_upheld", "staff_released", "never_looked_at"))
    assert 0.5 == rule["precision_where_looked_at"]["value"]
    assert counted["rules"] == again["rules"]
    assert [str(messages[1])] == questions["newly_held"]
    assert 2 == len(questions["no_longer_held"])
    assert 2 == run("rules", "test", "questions", "--last", "1d", "--state", str(state)).exit_code
    assert 2 == run("rules", "test", "cheques", "--last", "soon").exit_code


def policy(run: Run) -> list[tuple[Any, ...]]:
    """Return the rows of the policy in force."""
    rows = shown(run("policy", "show", "--json"))["policy"]
    return [(each["trust"], each["type"], each["asked"], each["then"]) for each in rows]


def test_rows_of_the_policy_are_set_replaced_and_removed(run: Run) -> None:
    before = policy(run)

    run("policy", "set", "pass", "--type", "job", "--asks", "hold", "--as", "ada", "--comment", "jobs are known")
    with_new = policy(run)
    run("policy", "set", "refuse", "--type", "job", "--asks", "hold")
    with_other = policy(run)
    run("policy", "set", "hold", "--type", "rfq", "--row", "3")
    placed = policy(run)
    run("policy", "remove", "3")
    run("policy", "remove", "1")

    assert [(None, "job", "hold", "pass"), *before] == with_new
    assert [(None, "job", "hold", "refuse"), *before] == with_other
    assert (None, "rfq", None, "hold") == placed[2]
    assert before == policy(run)
    assert 1 == run("policy", "remove", "9").exit_code
    history = shown(run("rules", "history", "--json"))["rule_sets"]
    assert ("ada", "jobs are known") == (history[-2]["made_by"], history[-2]["comment"])
    difference = run("rules", "diff", history[-1]["number"], history[-2]["number"]).output
    assert ["+ policy type job, asks hold: pass", "policy changed"] == difference.splitlines()


def test_the_policy_decides_what_a_hit_does(run: Run, fixtures: Fixtures, context: StepContext) -> None:
    run("policy", "set", "pass", "--type", "job", "--asks", "hold")
    job, other = (fixtures.message(fixtures.account(), body="a money order", type=each) for each in ("job", "other"))

    decide(context, [job, other])

    assert [[State.DELIVERED], [State.HELD]] == [fixtures.states(each) for each in (job, other)]


@pytest.mark.parametrize(
    ("trust", "body", "state"),
    [("watched", "Good morning.", State.HELD), ("trusted", "a money order", State.DELIVERED)],
)
def test_how_far_staff_trust_a_client_counts(  # noqa: PLR0917 - the table of cases
    run: Run, fixtures: Fixtures, context: StepContext, trust: str, body: str, state: State
) -> None:
    assert 0 == run("policy", "trust", fixtures.client_id, trust).exit_code
    message = fixtures.message(fixtures.account(), body=body)

    decide(context, [message])

    assert [state] == fixtures.states(message)
