"""Apply the rule set in force to messages: read texts, ask for the past where a rule wants it, and record hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from delivery.detection.folding import text_key
from delivery.records.database import Transaction
from delivery.records.pipeline.candidates import Content
from delivery.records.rule_sets import history, hits
from delivery.records.rule_sets.hits import RecordedHit
from delivery.rules.findings import facts_of, findings_of
from delivery.rules.rule_engine import FIRST_MESSAGE, RuleEngine, RuleHit, RuleResult
from delivery.rules.rule_set import Action, Mode
from delivery.rules.vetting import Finding, find_reasons
from delivery.vocabulary import RuleVerdict
from tasks.context import StepContext


@dataclass(frozen=True, slots=True)
class MessageVerdict:
    """What becomes of a message, and by which rule set."""

    message_id: UUID
    verdict: RuleVerdict
    rule_set: int | None = None
    text_key: int | None = None


def apply_rules(context: StepContext, db: Transaction, contents: Sequence[Content]) -> dict[UUID, MessageVerdict]:
    """Return the verdict on each of these messages, and store which rules hit them."""
    if not contents:
        return {}
    engine = context.rules.engine_for(db, contents[0].newest_rule_set)
    if engine is None:
        hits.record(db, [_unusable(each) for each in contents])
        return {each.message_id: MessageVerdict(each.message_id, RuleVerdict.HOLD) for each in contents}
    if not engine.rule_set.rules:
        return {each.message_id: MessageVerdict(each.message_id, _by_settings(context, each)) for each in contents}
    read = {each.message_id: engine.read(each.message) for each in contents}
    keys = {message_id: text_key(each.read.text.folded) for message_id, each in read.items()}
    wanted = {message_id: keys[message_id] for message_id, each in read.items() if engine.needs_history(each)}
    past = history.histories(db, wanted)
    results = {each: engine.apply(read[each], past.get(each, FIRST_MESSAGE)) for each in read}
    hits.record(db, [hit for each in contents for hit in _hits(engine, each, results[each.message_id])])
    return {
        each.message_id: MessageVerdict(
            each.message_id,
            _stricter(results[each.message_id].verdict, _by_settings(context, each)),
            engine.rule_set.number,
            keys[each.message_id],
        )
        for each in contents
    }


def _unusable(content: Content) -> RecordedHit:
    """Return the hit of a message that this worker cannot engine: staff look at it."""
    reason = f"Rule set {content.newest_rule_set} cannot be used by the worker; its log says why."
    hit = RuleHit("rule-set-not-usable", 1, Action.HOLD, Mode.LIVE, reason, has_failed=True)
    return RecordedHit(content.message_id, hit, (Finding(reason, "message", hit.name),), {})


def _by_settings(context: StepContext, content: Content) -> RuleVerdict:
    """Return what the phrases and names of the settings say."""
    return RuleVerdict.HOLD if find_reasons(content.texts, context.settings.hold_rule) else RuleVerdict.PASS


def _stricter(one: RuleVerdict, other: RuleVerdict) -> RuleVerdict:
    return max(one, other, key=list(RuleVerdict).index)


def _hits(engine: RuleEngine, content: Content, result: RuleResult) -> list[RecordedHit]:
    return [
        RecordedHit(
            content.message_id,
            hit,
            findings_of(engine, result, hit, content.texts["subject"]),
            facts_of(engine, result, hit),
        )
        for hit in result.hits
    ]
