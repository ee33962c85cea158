"""Rules, word lists and the policy are read and changed by HTTP, by credentials with the scope for it."""

from typing import Any

import httpx2
import pytest

from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rules.rule_set import Action, Example, Mode, Rule, RuleSet, WordList
from delivery.settings import Settings
from delivery.vocabulary import Scope
from tests.support.api_client import Headers, key_of
from tests.support.fixtures import Fixtures

RULES = RuleSet(
    rules=(
        Rule("cheques", "list.cheques > 0", mode=Mode.LIVE, reason="A cheque.", must_hit=(Example("a money order"),)),
        Rule("ban", "text.links > 3", Action.REFUSE, reason="Many links."),
    ),
    lists=(WordList("cheques", ("money order*",)),),
)


@pytest.fixture
def number(fixtures: Fixtures) -> int:
    """Put a rule set in force and return its number."""
    with transaction(fixtures.database) as db:
        return store.store(db, RULES, made_by="a test", comment="first")


@pytest.fixture
def other_key(fixtures: Fixtures, settings: Settings) -> Headers:
    """Return the headers of a second credential of the same client."""
    return key_of(fixtures, settings, fixtures.client_id)


def data(answer: httpx2.Response) -> Any:
    """Return what a good answer has."""
    assert 200 == answer.status_code, answer.text
    return answer.json()["data"]


def codes(answer: httpx2.Response) -> list[str]:
    """Return the codes of the faults in a refused request."""
    assert 400 == answer.status_code, answer.text
    return [each["code"] for each in answer.json()["errors"]]


def test_rules_lists_policy_and_history_are_read(http: httpx2.Client, key: Headers, number: int) -> None:
    rules = http.get("/rules", headers=key)

    assert number == rules.json()["meta"]["rule_set"]
    assert [("cheques", "live", "hold"), ("ban", "draft", "refuse")] == [
        (each["name"], each["mode"], each["asks_for"]) for each in data(rules)
    ]
    assert "A cheque." in data(http.get("/rules/cheques", headers=key))["document"]
    assert [("cheques", 1)] == [(each["name"], each["entry_count"]) for each in data(http.get("/lists", headers=key))]
    assert ["money order*"] == data(http.get("/lists/cheques", headers=key))["entries"]
    assert {"trust": "watched", "type": None, "asks_for": None, "then": "hold"} == data(
        http.get("/policy", headers=key)
    )[0]
    assert ["first"] == [each["comment"] for each in data(http.get("/rule-sets", headers=key))]
    assert "money order*" in data(http.get("/rule-set", headers=key))["document"]


def test_without_a_rule_set_everything_is_empty(http: httpx2.Client, key: Headers) -> None:
    assert [[], [], []] == [data(http.get(f"/{path}", headers=key)) for path in ("rules", "lists", "rule-sets")]


@pytest.mark.parametrize(
    "path", ["/rules/none", "/lists/none", "/rule-sets/9999999", "/rule-sets/0", "/rule-sets/x", "/v2/rules"]
)
@pytest.mark.usefixtures("number")
def test_what_does_not_exist_is_a_404(http: httpx2.Client, key: Headers, path: str) -> None:
    assert 404 == http.get(path, headers=key).status_code


def test_another_scope_opens_nothing(http: httpx2.Client, fixtures: Fixtures, settings: Settings) -> None:
    scopes = [each for each in Scope if each is not Scope.VETTING_RULES]
    key = key_of(fixtures, settings, fixtures.client(scopes=scopes))

    answers = [
        http.get("/rules", headers=key),
        http.put("/policy", headers=key, json={"document": "[]", "comment": "x"}),
        http.post("/lists/cheques", headers=key, json={"add": ["x"], "comment": "x"}),
    ]

    assert [403, 403, 403] == [each.status_code for each in answers]


def test_a_document_is_checked_and_put_in_force(http: httpx2.Client, key: Headers, number: int) -> None:
    document = data(http.get("/rule-set", headers=key))["document"].replace("A cheque.", "A money order.")

    checked = http.post("/rule-check", headers=key, json={"document": document})
    put = http.put("/rule-set", headers=key, json={"document": document, "comment": "clearer"})

    assert [] == data(checked)["faults"]
    assert ["rule cheques reason: A cheque. -> A money order."] == data(put)["changes"]
    assert number < put.json()["meta"]["rule_set"]
    assert ("A money order.", 2) == tuple(
        data(http.get("/rules/cheques", headers=key))[name] for name in ("reason", "version")
    )
    made_by = data(http.get("/rule-sets", headers=key))[0]["made_by"]
    assert made_by.startswith("key ")
    assert made_by.removeprefix("key ") in key["X-Proz-API-Key"]


@pytest.mark.parametrize(
    "document",
    ["rules: [{name: a, when: text.linkz > 1}]", "rules: [{name: a, when: 'true', must_miss: [{body: x}]}]", "{", "[]"],
)
def test_a_document_with_faults_is_refused_and_nothing_is_changed(
    http: httpx2.Client, key: Headers, number: int, document: str
) -> None:
    checked = http.post("/rule-check", headers=key, json={"document": document})
    put = http.put("/rule-set", headers=key, json={"document": document, "comment": "x"})

    assert data(checked)["faults"]
    assert {"invalid_rules"} == set(codes(put))
    assert number == http.get("/rules", headers=key).json()["meta"]["rule_set"]


def test_a_rule_that_refuses_goes_live_with_a_second_credential(
    http: httpx2.Client, key: Headers, other_key: Headers, number: int
) -> None:
    del number
    change = {"mode": "live", "comment": "they come every day"}

    answers = [data(http.put("/rules/ban/mode", headers=each, json=change)) for each in (key, key, other_key)]

    assert [("draft", True), ("draft", True), ("live", False)] == [
        (each["mode"], each["waits_for_second_person"]) for each in answers
    ]


def test_a_rule_is_stopped(http: httpx2.Client, key: Headers, number: int) -> None:
    del number
    answer = http.put("/rules/cheques/mode", headers=key, json={"mode": "draft", "comment": "too many"})

    assert "draft" == data(answer)["mode"]
    assert ["required"] == codes(http.put("/rules/cheques/mode", headers=key, json={"mode": "live"}))
    assert 404 == http.put("/rules/none/mode", headers=key, json={"mode": "live", "comment": "x"}).status_code


def test_entries_are_added_and_removed(http: httpx2.Client, key: Headers, number: int) -> None:
    del number
    change = {"add": ["postal order*"], "comment": "seen today"}

    answer = http.post("/lists/cheques", headers=key, json=change)

    assert ["money order*", "postal order*"] == data(answer)["entries"]
    # Without the entry the example of the rule does not come out.
    refused = http.post("/lists/cheques", headers=key, json={"remove": ["money order*"], "comment": "x"})
    assert ["invalid_rules"] == codes(refused)


def test_the_policy_is_replaced(http: httpx2.Client, key: Headers, number: int) -> None:
    del number
    answer = http.put("/policy", headers=key, json={"document": "[{then: hold, asked: hold}]", "comment": "plain"})

    assert [{"trust": None, "type": None, "asks_for": "hold", "then": "hold"}] == data(answer)
    wrong = http.put("/policy", headers=key, json={"document": "[{then: explode}]", "comment": "plain"})
    assert ["invalid_rules"] == codes(wrong)


def test_two_changes_at_once_do_not_overwrite_each_other(
    http: httpx2.Client, key: Headers, number: int, fixtures: Fixtures
) -> None:
    with transaction(fixtures.database) as db:
        found = store.read_newest(db)
        store.store(db, found, made_by="another", comment="")

        answer = http.put("/policy", headers=key, json={"document": "[]", "comment": "x"}, timeout=10)

    assert number == found.number
    assert answer.status_code in {409, 503}
