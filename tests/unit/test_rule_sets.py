"""Rule sets: documents, examples, versions, and what becomes of messages."""

from dataclasses import replace

import pytest

from delivery.detection.text_facts import MessageText
from delivery.rulebook.documents import InvalidRuleSet, read_rule_set, write_rule_set
from delivery.rulebook.shipped_set import shipped_rule_set
from delivery.rules import rule_edits
from delivery.rules.rule_engine import FIRST_MESSAGE, RuleEngine
from delivery.rules.rule_set import Action, Example, Mode, Rule, RuleSet, ScoreTerm, WordList
from delivery.vocabulary import RuleVerdict, Trust

RULES = RuleSet(
    rules=(
        Rule("lure", "list.apps > 0 && pair.is_first", mode=Mode.LIVE, must_hit=(Example("write me on whatsapp"),)),
        Rule("points", "score.fraud >= 5", mode=Mode.LIVE),
        Rule("ban", "text.links > 5", Action.REFUSE, mode=Mode.LIVE),
    ),
    lists=(WordList("apps", ("whatsapp", "telegram")),),
    scores={"fraud": (ScoreTerm("text.amounts > 0", 3), ScoreTerm("sender.refused > 0", 2))},
)
KNOWN = {**FIRST_MESSAGE, "pair.is_first": False, "pair.days": 30}


def judged(
    message: str, history: object = None, *, trust: Trust = Trust.NORMAL, rule_set: RuleSet = RULES
) -> RuleVerdict:
    """Return the verdict on a text."""
    engine = RuleEngine(rule_set)
    read = engine.read(MessageText("Hello", message, "Ada", client_trust=trust))
    return engine.apply(read, history or FIRST_MESSAGE).verdict  # type: ignore[arg-type] # a mapping of facts


def test_a_rule_hits_where_text_and_history_fit() -> None:
    assert RuleVerdict.HOLD is judged("Write me on What\u200bsApp")
    assert RuleVerdict.PASS is judged("Write me on WhatsApp", KNOWN)
    assert RuleVerdict.PASS is judged("Write to me")


def test_points_of_a_score_add_up() -> None:
    assert RuleVerdict.PASS is judged("It costs 300 EUR")
    assert RuleVerdict.HOLD is judged("It costs 300 EUR", {**FIRST_MESSAGE, "sender.refused": 1})


@pytest.mark.parametrize(
    ("trust", "text", "verdict"),
    [
        (Trust.TRUSTED, "whatsapp", RuleVerdict.PASS),
        (Trust.WATCHED, "hello", RuleVerdict.HOLD),
        (Trust.NORMAL, "a.example b.example c.example d.example e.example f.example whatsapp", RuleVerdict.REFUSE),
    ],
)
def test_policy_decides_by_trust_and_the_strictest_rule(trust: Trust, text: str, verdict: RuleVerdict) -> None:
    assert verdict is judged(text, trust=trust)


def test_history_is_needed_only_where_the_text_asks_for_it() -> None:
    engine = RuleEngine(replace(RULES, scores={}, rules=RULES.rules[:1]))

    assert not engine.needs_history(engine.read(MessageText("a", "b", "c")))
    assert engine.needs_history(engine.read(MessageText("a", "telegram", "c")))


def test_a_rule_that_fails_holds_the_message_under_its_name() -> None:
    failing = RuleSet(rules=(Rule("divides", "1 / text.links > 0", mode=Mode.LIVE),))

    engine = RuleEngine(failing)
    result = engine.apply(engine.read(MessageText("a", "b", "c")))

    assert RuleVerdict.HOLD is result.verdict
    assert [("divides", True)] == [(hit.name, hit.has_failed) for hit in result.hits]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("rules: [{name: x, when: 'no.fact > 1'}]", "Rule x: line 1, column 3: there is no fact or list no.fact"),
        ("rules: [{name: x, when: 'true', aktion: hold}]", "aktion"),
        ("rules: [{name: X y, when: 'true'}]", "names are lower-case"),
        ("rules: [{name: x, when: 'true'}, {name: x, when: 'true'}]", "There are two rules x"),
        ("scores: {s: [{when: 'text.links', points: 1}]}\nrules: []", "Score s: it must be a condition"),
        ("rules: [", "This is no YAML"),
        ("[]", "document"),
        ("lists: [{name: a, entries: [1]}]", "lists"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_with_its_place(document: str, sentence: str) -> None:
    with pytest.raises(InvalidRuleSet) as refused:
        read_rule_set(document)

    assert sentence in str(refused.value)


def test_a_rule_set_is_read_as_it_was_written() -> None:
    for rule_set in (RULES, shipped_rule_set()):
        assert rule_set == read_rule_set(write_rule_set(rule_set))


def test_every_example_of_the_shipped_rules_holds() -> None:
    assert [] == rule_edits.failed_examples(shipped_rule_set())
    assert all(rule.reason for rule in shipped_rule_set().rules)


def test_an_example_that_does_not_hold_is_named() -> None:
    wrong = replace(RULES, rules=(replace(RULES.rules[0], must_miss=(Example("on telegram"),)),))

    assert ["Rule lure hits its example must_miss 1: 'on telegram'."] == rule_edits.failed_examples(wrong)


def test_a_changed_rule_gets_the_next_version() -> None:
    changed = replace(
        RULES, rules=(replace(RULES.rules[0], when="list.apps > 1", version=9), *RULES.rules[1:]), number=4
    )

    after = rule_edits.replaced(replace(RULES, number=7), changed)

    assert [2, 1, 1] == [rule.version for rule in after.rules]
    assert 7 == after.number
    assert ["rule lure when: list.apps > 0 && pair.is_first -> list.apps > 1"] == rule_edits.changes(RULES, after)


def test_a_rule_that_refuses_needs_two_persons() -> None:
    stopped = rule_edits.with_mode(RULES, "ban", Mode.DRAFT, person="ada")

    with pytest.raises(rule_edits.SecondPersonNeeded) as first:
        rule_edits.with_mode(stopped, "ban", Mode.LIVE, person="ada")
    with pytest.raises(rule_edits.SecondPersonNeeded):
        rule_edits.with_mode(first.value.rule_set, "ban", Mode.LIVE, person="ada")

    live = rule_edits.with_mode(first.value.rule_set, "ban", Mode.LIVE, person="grace")
    assert Mode.LIVE is rule_edits.rule_of(live, "ban").mode
    imported = rule_edits.replaced(stopped, RULES)
    assert Mode.LIVE is not rule_edits.rule_of(imported, "ban").mode


def test_entries_are_added_and_removed() -> None:
    after = rule_edits.with_entries(RULES, "apps", add=["signal"], remove=["telegram"])

    assert ("whatsapp", "signal") == after.lists[0].entries
    assert ["- list apps: telegram", "+ list apps: signal"] == rule_edits.changes(RULES, after)
    with pytest.raises(rule_edits.NoSuchRule):
        rule_edits.with_entries(RULES, "nothing", remove=["a"])


def test_links_are_looked_for_only_where_the_words_of_a_rule_were_found() -> None:
    engine = RuleEngine(
        replace(RULES, scores={}, rules=(Rule("r", "text.links > 0 && list.apps > 0", mode=Mode.LIVE),))
    )

    plain, worded = (engine.read(MessageText("a", f"{word} a.example", "c")) for word in ("hello", "telegram"))

    assert ((), (0,)) == (plain.may_hit, worded.may_hit)
    assert ("text.links" in plain.read.facts, "text.links" in worded.read.facts) == (False, True)


def test_a_score_is_part_of_what_is_asked_first_if_it_is_about_words_alone() -> None:
    scores = {"apps": (ScoreTerm("list.apps > 1", 5),), "links": (ScoreTerm("text.links > 0", 5),)}
    rules = (Rule("both", "score.apps > 0 && score.links > 0", mode=Mode.LIVE),)
    engine = RuleEngine(replace(RULES, scores=scores, rules=rules))

    texts = ("telegram a.example", "telegram, whatsapp", "telegram, whatsapp a.example")
    read = [engine.read(MessageText("a", text, "c")) for text in texts]

    assert [False, True, True] == ["text.links" in each.read.facts for each in read]
    assert [(), (), (0,)] == [each.may_hit for each in read]
