"""Messages are judged by the rule set in force: held, refused or passed, and every hit is stored."""

import json
from uuid import UUID

import pytest

from delivery.detection.text_facts import TEXT_LIMIT
from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rulebook.shipped_set import shipped_rule_set
from delivery.rules.rule_set import Action, Mode, Rule, RuleSet, WordList
from delivery.vocabulary import Channel, Reason, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.support.fixtures import Fixtures

RULES = RuleSet(
    rules=(
        Rule("cheque", "list.cheques > 0 && pair.is_first", mode=Mode.LIVE, reason="A cheque at first contact."),
        Rule("banned", "text.links > 2", Action.REFUSE, mode=Mode.LIVE, reason="Many links."),
        Rule("watching", "text.questions > 0", mode=Mode.SHADOW, reason="A question."),
    ),
    lists=(WordList("cheques", ("cashier cheque*", "money order*")),),
)


def put_in_force(fixtures: Fixtures, rule_set: RuleSet) -> int:
    """Store a rule set."""
    with transaction(fixtures.database) as db:
        return store.store(db, rule_set, made_by="a test", comment="")


def run(context: StepContext, *messages: UUID) -> None:
    """Decide these messages, and open cases for those that are held."""
    decide(context, messages)
    vet(context, messages)


@pytest.mark.parametrize(
    ("body", "state", "reason", "rules"),
    [
        ("I send a m-o-n-e-y \u043erder today.", State.HELD, Reason.FLAGGED, ["cheque"]),
        ("a.example/1 b.example/2 c.example/3", State.REFUSED, Reason.REFUSED_BY_RULE, ["banned"]),
        ("How are you?", State.DELIVERED, None, ["watching"]),
        ("Good morning.", State.DELIVERED, None, []),
    ],
)
def test_rules_hold_refuse_or_only_watch(  # noqa: PLR0917 - the table of cases
    fixtures: Fixtures, context: StepContext, body: str, state: State, reason: Reason | None, rules: list[str]
) -> None:
    number = put_in_force(fixtures, RULES)
    message = fixtures.message(fixtures.account(), body=body)

    run(context, message)

    assert [state] == fixtures.states(message)
    assert [reason] == fixtures.reasons(message)
    (row,) = fixtures.run_sql(f"SELECT rule_set, text_key FROM message WHERE id = '{message}'")
    assert number == row.rule_set
    assert row.text_key is not None
    assert rules == [row.rule for row in fixtures.run_sql("SELECT rule FROM rule_hit ORDER BY rule")]


def test_a_new_set_counts_from_the_next_message_on(fixtures: Fixtures, context: StepContext) -> None:
    number = put_in_force(fixtures, RULES)
    first = fixtures.message(fixtures.account(Channel.INBOX), body="a money order")
    run(context, first)
    with transaction(fixtures.database) as db:
        store.store(db, store.read_newest(db), made_by="a test", comment="the same again")
    second = fixtures.message(fixtures.account(Channel.INBOX), body="a money order")

    run(context, second)

    numbers = [row.rule_set for row in fixtures.run_sql("SELECT rule_set FROM message ORDER BY id")]
    assert [number, number + 1] == numbers
    assert [State.HELD] == fixtures.states(second)


def test_a_set_that_this_worker_cannot_use_holds_messages(fixtures: Fixtures, context: StepContext) -> None:
    document = json.dumps({"rules": [{"name": "x", "when": "no.fact"}]})
    fixtures.run_sql(
        "INSERT INTO rule_set (document, made_by, comment) VALUES (CAST(:document AS jsonb), '', '')", document=document
    )
    message = fixtures.message(fixtures.account(), body="Good morning.")

    run(context, message)

    assert [State.HELD] == fixtures.states(message)
    findings = fixtures.run_sql("SELECT findings FROM vetting_case")[0].findings
    assert "cannot be used" in findings[0]["phrase"]


@pytest.mark.parametrize(
    ("filler", "count", "state"),
    [
        ("a word too many ", 1500, State.HELD),
        ("\u200ba word\u00ad too many ", 1500, State.HELD),
        ("a word too many ", 1490, State.DELIVERED),
        ("\u200b", 30_000, State.DELIVERED),  # Of invisible characters nothing is left to read.
        (" ", 30_000, State.DELIVERED),
    ],
)
def test_a_first_message_that_is_longer_than_rules_look_at_is_held_by_the_shipped_set(
    fixtures: Fixtures, context: StepContext, filler: str, count: int, state: State
) -> None:
    put_in_force(fixtures, shipped_rule_set())
    message = fixtures.message(fixtures.account(), body=f"Hello.{filler * count}")

    run(context, message)

    assert [state] == fixtures.states(message)
    expected = ["cut-first-contact"] if state is State.HELD else []
    assert expected == [row.rule for row in fixtures.run_sql("SELECT rule FROM rule_hit WHERE mode = 'live'")]


def test_a_long_message_between_people_who_know_each_other_is_delivered(
    fixtures: Fixtures, context: StepContext
) -> None:
    put_in_force(fixtures, shipped_rule_set())
    sender, recipient = fixtures.account(), fixtures.account()
    earlier = fixtures.message(recipient, sender_account_id=sender, body="Good morning.")
    later = fixtures.message(recipient, sender_account_id=sender, body="a word too many " * TEXT_LIMIT)
    run(context, earlier)

    run(context, later)

    assert [State.DELIVERED] == fixtures.states(later)
