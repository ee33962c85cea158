"""Labelled scenes: what is refused, and the figures that come of them."""

import json
from typing import Any

import pytest

from delivery.rulebook.evaluation import answer, at_base_rate, evaluate_scenes, report, share, wilson
from delivery.rulebook.scenes import InvalidScenes, Scene, read_scenes
from delivery.rules.rule_engine import RuleEngine
from delivery.rules.rule_set import Mode, Rule, RuleSet

SENDER = {"name": "Ada"}


def line(**chosen: Any) -> bytes:
    """Return the line of a scene."""
    fields = {"id": "a-1", "label": "hold", "sender": SENDER, "subject": "Hello", "body": "Hi", **chosen}
    return json.dumps(fields).encode() + b"\n"


def scenes(*lines: bytes) -> list[Scene]:
    """Read these lines."""
    return list(read_scenes(lines))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (line(body=""), "line 1, body"),
        (line(body="\u200b"), "line 1, body: has no visible text"),
        (line(body=None), "line 1, body"),
        (line(subject="a\nb"), "line 1, subject: must be one line"),
        (line(subjekt="x"), "line 1, subjekt"),
        (line(sender={"name": "A", "messages_before": True}), "line 1, sender.messages_before"),
        (line(sender={"name": "A", "messages_before": 1.0}), "line 1, sender.messages_before"),
        (line(sender={"name": "A", "refused_before": 1}), "refused_before is above messages_before"),
        (line(sender={"name": "A", "first_seen_days": 1}), "first_seen_days of a sender without messages"),
        (line(recipients=[]), "line 1, recipients"),
        (line(recipients=[{}] * 26), "line 1, recipients"),
        (line(recipients=[{"known_days": 3}]), "known_days must be null exactly"),
        (line(recipients=[{"replied_to_sender": 1}]), "known_days must be null exactly"),
        (
            line(recipients=[{"sender_wrote_before": 1, "known_days": 0}]),
            "sender_wrote_before is above",
        ),
        (line(same_text_recent={"by_sender": 1}), "by_sender is above messages_before"),
        (line(label="maybe"), "line 1, label"),
        (line(id="a b"), "line 1, id"),
        (b"\n", "no blank line"),
        (b"\xef\xbb\xbf" + line(), "byte order mark"),
        (line().replace(b"\n", b"\r\n"), "LF as line end"),
        (b'{"id": "a", "id": "b"}\n', "stands twice"),
        (b"[]\n", "line 1"),
        (b"\xff\n", "not valid UTF-8"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_line_field_and_reason(wrong: bytes, sentence: str) -> None:
    with pytest.raises(InvalidScenes) as refused:
        scenes(wrong)

    assert sentence in str(refused.value)


def test_an_id_may_stand_once() -> None:
    with pytest.raises(InvalidScenes, match="line 2, id"):
        scenes(line(), line())


def test_notes_are_not_read() -> None:
    (scene,) = scenes(line(x_note={"any": [1]}))

    assert "a-1" == scene.id


def test_history_is_that_of_the_least_known_recipient() -> None:
    sender = {"name": "Ada", "messages_before": 5, "first_seen_days": 30}
    (scene,) = scenes(line(sender=sender, recipients=[{"known_days": 20, "sender_wrote_before": 2}, {}]))

    facts = scene.history

    assert (-1, 0, True, 1) == tuple(
        facts[name] for name in ("pair.days", "pair.wrote", "pair.is_first", "pair.unknown_recipients")
    )


def test_figures_are_those_of_the_formulas() -> None:
    rules = RuleSet(
        rules=(Rule("hi", "text.exclamations > 0", mode=Mode.LIVE), Rule("quiet", "true", mode=Mode.SHADOW))
    )
    read = scenes(
        *(line(id=f"h{index}", body="Hi!") for index in range(3)),
        line(id="m1"),
        line(id="w1", body="Hi!", label="pass", language="pt-BR"),
        *(line(id=f"p{index}", label="pass", client={"trust": "trusted"}, body="Hi!") for index in range(3)),
        line(id="n1", label=None, client={"trust": "watched"}),
    )

    given = answer(rules, "digest", evaluate_scenes(RuleEngine(rules), read))

    overall = given["summary"]["all"]
    assert (3, 1, 1, 3) == tuple(overall[key] for key in ("held_rightly", "held_wrongly", "missed", "passed_rightly"))
    assert {"value": 0.75, "low": 0.3006, "high": 0.9544, "of": 4} == overall["precision"]
    assert {"base_rate": 0.01, "hold_rate": 0.255, "precision": 0.0294} == given["summary"]["at_base_rate"]
    assert {"hits": 7, "hits_on_hold": 3, "precision": share(3, 7)} == given["summary"]["by_rule"]["hi"]
    assert {"en": 0}.keys().isdisjoint(given["summary"]["by_language"])
    assert {"und", "pt"} == set(given["summary"]["by_language"])
    assert "hold" == given["scenes"][-1]["verdict"]
    assert (9, 8) == (given["summary"]["scenes"], given["summary"]["labelled"])
    assert report(given).splitlines()[-1] == (
        "precision 0.750 [0.301, 0.954], recall 0.750 [0.301, 0.954], hold rate at 1 % base rate 0.255"
    )


def test_shares_of_nothing_are_none() -> None:
    assert share(0, 0) is None
    assert {"base_rate": 0.01, "hold_rate": None, "precision": None} == at_base_rate([])
    assert pytest.approx(0.0) == wilson(0, 5)[0]
    assert pytest.approx(1.0) == wilson(5, 5)[1]
