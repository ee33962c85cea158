"""The rule set that this worker judges by: compiled once, tried on a message, then exchanged as a whole."""

import threading
from dataclasses import dataclass, field, replace

import structlog

from delivery.detection.text_facts import MessageText
from delivery.records.database import Transaction
from delivery.records.rule_sets import store
from delivery.rules.rule_engine import RuleEngine
from delivery.rules.rule_set import RuleSet

_log = structlog.get_logger()
_CANARY = MessageText("A question", "Could you call me at +1 555 0100, or see https://example.com/?", "Ada Lovelace")


@dataclass(slots=True)
class RuleKeeper:
    """Keeps the newest usable rule set; the empty one where none is stored. Threads of a worker share it."""

    platform_names: tuple[str, ...] = ()
    platform_domains: tuple[str, ...] = ()
    _engine: RuleEngine | None = field(default_factory=lambda: RuleEngine(RuleSet()))
    _seen: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def engine_for(self, db: Transaction, number: int | None) -> RuleEngine | None:
        """Return the engine of the set that is in force, `number`. A set that cannot be used is logged once.

        The set before it goes on then: a message is judged wholly by the one or the other. None where there is no set
        before it.
        """
        if number == self._seen:
            return self._engine
        with self._lock:
            if number != self._seen:
                former = None if self._seen is None else self._engine
                self._engine = self._compiled(db, number) or former
                self._seen = number
        return self._engine

    def _compiled(self, db: Transaction, number: int | None) -> RuleEngine | None:
        if number is None:
            return RuleEngine(RuleSet())
        try:
            rule_set = store.read(db, number)
            if rule_set is None:
                return None
            engine = RuleEngine(
                replace(rule_set, platform_names=self.platform_names, platform_domains=self.platform_domains)
            )
            engine.apply(engine.read(_CANARY))
        except (ValueError, ImportError, KeyError) as error:
            _log.error("rule_set_not_usable", rule_set=number, kept=self._seen, why=type(error).__name__)
            return None
        _log.info("rule_set_in_force", rule_set=number, rules=len(rule_set.rules))
        return engine
