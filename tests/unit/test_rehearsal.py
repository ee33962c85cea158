"""The scenes of the rehearsal: sixty that the shipped rules hold, varied, with honest ones among them."""

from collections import Counter
from dataclasses import replace

from delivery.detection.fingerprints import text_fingerprint
from delivery.rulebook.shipped_set import shipped_rule_set
from delivery.rules.rule_engine import FIRST_MESSAGE, RuleEngine
from delivery.vocabulary import RuleVerdict
from worker.embedded.rehearsal import read_rehearsal

_SCENES = read_rehearsal()


def test_the_shipped_rules_hold_every_scene() -> None:
    engine = RuleEngine(replace(shipped_rule_set(), number=1))

    passed = [
        each.id
        for each in _SCENES
        if engine.apply(engine.read(each.message), FIRST_MESSAGE).verdict != RuleVerdict.HOLD
    ]

    assert [] == passed
    assert 60 == len(_SCENES)


def test_the_scenes_are_varied() -> None:
    senders = Counter(each.sender.name for each in _SCENES)
    texts = Counter(text_fingerprint(each.subject, each.body) for each in _SCENES)
    labels = Counter(each.label for each in _SCENES)

    assert 2 == sum(count > 2 for count in senders.values())
    assert [6, 1] == [count for _, count in texts.most_common(2)]
    assert 15 == sum(each.client.trust == "watched" for each in _SCENES)
    assert sum(len(each.recipients) > 1 for each in _SCENES) >= 10
    assert len({each.language for each in _SCENES}) >= 10
    assert len({each.family for each in _SCENES}) >= 15
    assert min(labels["hold"], labels["pass"]) >= 15
