"""Check a live system: every invariant of its rows, then its workers, its broker and its database.

To add a check, write a function that takes `Facts` and yields results, and add it to `PARTS`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from delivery.channels.email.pool import check_relay
from delivery.records.database import Database, snapshot
from delivery.records.identities import direct_senders, sealed_keys
from delivery.records.identities.sealed_keys import SealedKeys
from delivery.records.server_check import check_database
from delivery.records.vetting import audit
from delivery.records.vetting.audit import ChainVerdict
from delivery.records.views import invariants
from delivery.records.views.connection_use import ConnectionUse, connection_use
from delivery.records.views.invariants import CheckScope, Violation
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerView
from delivery.rules.relay_trouble import relay_advice
from delivery.setting_checks import UnusableSetting
from delivery.settings import Settings
from delivery.vocabulary import QueueName
from tasks.broker.blocked_queues import ADVICE, find_blocked_queues
from tasks.broker.broker_memory import KEEPS_ALL, BrokerMemory, read_memory
from tasks.broker.queue_depth import read_queues
from tasks.broker.unread_lists import find_unread_lists
from tasks.check_results import CheckResult, Severity, fault, ok, warning
from tasks.lanes import LANES
from tasks.rule_checks import RulesInForce, check_rules, read_in_force
from tasks.start_checks import check_broker

_SEEN_WITHIN = timedelta(seconds=15)
# From here on a limit is near: there is time left to raise it before work is refused.
_NEAR_PERCENT = 80
_AUDIT_ENTRIES = 10_000
"""How many of the newest audit entries are verified, unless everything is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database said at one instant, and the settings to ask other services with."""

    settings: Settings
    workers: Sequence[WorkerView]
    parked: Sequence[UUID]
    connections: ConnectionUse
    token_senders: Sequence[UUID]
    signing_keys: SealedKeys
    rules: RulesInForce
    audit: ChainVerdict | None = None


def check(settings: Settings, database: Database, scope: CheckScope, *, timeout: timedelta) -> list[CheckResult]:
    """Check everything, read-only. Raises one of `DATABASE_UNAVAILABLE` when the database does not answer."""
    with snapshot(database, timeout=timeout) as db:
        workers = registry.workers(db, within=_SEEN_WITHIN)
        connections = connection_use(db)
        token_senders = direct_senders.clients_by_token(db)
        signing_keys = sealed_keys.read_sealed(db, settings)
        violations = list(invariants.ask(db, scope))
        parked = deaths.parked(db, scope.limit)
        rules = read_in_force(db)
        newest = None if scope.is_everything else _AUDIT_ENTRIES
        verdict = audit.verify(db, settings.audit_key, newest=newest)
    facts = Facts(settings, workers, parked, connections, token_senders, signing_keys, rules, verdict)
    parts = [result for part in PARTS for result in part(facts)]
    return [*(_result(each, parts) for each in violations), *parts]


def _result(violation: Violation, parts: Sequence[CheckResult]) -> CheckResult:
    invariant = violation.invariant
    if violation.count == 0:
        return ok(invariant.name)
    if violation.count is None:
        return fault(
            invariant.name, "The query took too long: raise --timeout, or check when the database is less busy."
        )
    return CheckResult(Severity.FAULT, invariant.name, violation.count, violation.rows, _advice(invariant, parts))


def _advice(invariant: invariants.Invariant, parts: Sequence[CheckResult]) -> str:
    """Return what to do. Where work is stuck, the likely reason comes first: a worker or broker that is not there."""
    if not invariant.is_about_stuck_work:
        return invariant.advice
    missing = [each.name for each in parts if each.severity is not Severity.OK and not each.rows]
    likely = (
        f"Likely because this does not hold: {'; '.join(missing)}."
        if missing
        else "All workers and the broker are alive."
    )
    return f"{likely} {invariant.advice}"


def _settings(facts: Facts) -> Iterator[CheckResult]:
    """Check the settings as the processes do when they start; whether they are well-formed, reading them has shown."""
    sentence = "the settings name files and servers that work"
    faults = list(_unusable(facts.settings))
    yield fault(sentence, f"{'. '.join(faults)}.") if faults else ok(sentence)


def _unusable(settings: Settings) -> Iterator[str]:
    for check_one in (check_database, check_broker, check_relay):
        try:
            check_one(settings)
        except UnusableSetting as error:
            yield str(error)


def _parked(facts: Facts) -> Iterator[CheckResult]:
    sentence = "nothing is parked"
    if not facts.parked:
        yield ok(sentence)
        return
    advice = "Remove the cause that `postroom why MESSAGE` shows, then run `postroom release MESSAGE`."
    yield CheckResult(Severity.WARNING, sentence, len(facts.parked), tuple(map(str, facts.parked)), advice)


def _lanes(facts: Facts) -> Iterator[CheckResult]:
    for name, lane in LANES.items():
        is_alive = any(set(lane.queues) <= set(worker.queues) for worker in facts.workers)
        sentence = f"a worker of the lane {name} is alive"
        advice = f"Start one: `postroom worker {name}`. The log of the last one shows why it stopped."
        yield ok(sentence) if is_alive else fault(sentence, advice)


def _relay(facts: Facts) -> Iterator[CheckResult]:
    sentence = "the relay takes mails"
    troubles = [each.relay_trouble for each in facts.workers if each.relay_trouble is not None]
    if not troubles:
        yield ok(sentence)
        return
    first = min(troubles, key=lambda each: each.since)
    minutes = max(0, int((datetime.now(UTC) - first.since).total_seconds() // 60))
    yield fault(
        sentence,
        f"No mail was taken for {minutes} min; the relay says: "
        f"{first.words} - {relay_advice(first.words)} Mails wait and go out once it takes them.",
    )


def _broker(facts: Facts) -> Iterator[CheckResult]:
    answers = "the broker answers"
    if facts.settings.bell and read_queues(facts.settings) is None:
        yield warning(answers, "Without it everything is delivered, only later. Check BROKER_URL.")
        return
    yield ok(answers)
    yield _blocked_queues(facts.settings)
    memory = read_memory(facts.settings)
    yield broker_memory_left(memory if facts.settings.bell else None)
    yield broker_keeps_all(memory)
    yield _unread_lists(facts.settings)


def broker_memory_left(memory: BrokerMemory | None) -> CheckResult:
    """Return whether the broker has memory left; None is a broker that is not used or does not tell."""
    sentence = "the broker has memory left"
    if memory is None or not _is_near(memory.used_bytes, memory.limit_bytes):
        return ok(sentence)
    return warning(
        sentence,
        f"It uses {memory.used_bytes >> 20} of {memory.limit_bytes >> 20} MiB. When it is full it refuses bells and "
        "direct sends: `postroom queues` shows what waits. Raise its maxmemory.",
    )


def broker_keeps_all(memory: BrokerMemory | None) -> CheckResult:
    """Return whether a full broker drops nothing; None is a broker that does not tell."""
    sentence = "a full broker refuses, and drops nothing that waits"
    if memory is None or not memory.may_evict:
        return ok(sentence)
    return warning(
        sentence,
        f"Its maxmemory-policy is {memory.policy}: when it is full it may drop all direct sends that wait, without an "
        f"error. Set maxmemory-policy {KEEPS_ALL} at the broker.",
    )


def _blocked_queues(settings: Settings) -> CheckResult:
    sentence, found = "every queue at the broker is a list", tuple(find_blocked_queues(settings))
    return CheckResult(Severity.WARNING, sentence, len(found), found, ADVICE) if found else ok(sentence)


def _unread_lists(settings: Settings) -> CheckResult:
    sentence = "no direct send waits in a list that no worker reads"
    found = find_unread_lists(settings)
    if not found:
        return ok(sentence)
    rows = tuple(f"{each.name!r} ({each.depth})" for each in found)
    advice = (
        "A program sends with global_keyprefix, sep or priority_steps among its broker_transport_options: take them "
        f"out there, and move what waits with LMOVE to the list {QueueName.ACCEPT}."
    )
    return CheckResult(Severity.WARNING, sentence, len(found), rows, advice)


def _connections(facts: Facts) -> Iterator[CheckResult]:
    sentence, use = "the database has connections left", facts.connections
    advice = (
        f"{use.used} of {use.limit} are open. When none is left, the API and starting workers are refused. Raise "
        "max_connections, or end other programs: the view pg_stat_activity shows them."
    )
    yield warning(sentence, advice) if _is_near(use.used, use.limit) else ok(sentence)


def _tokens(facts: Facts) -> Iterator[CheckResult]:
    sentence, ids = "direct sends are signed", tuple(map(str, facts.token_senders))
    if not ids:
        yield ok(sentence)
        return
    advice = (
        "These clients sent tokens, which every program that reads the broker can use. From "
        f"{facts.settings.direct_tokens_until + timedelta(days=1)} on such sends are refused. Give each a signing key: "
        "`postroom clients add-key CLIENT --kind signing_key` (docs/direct-sends.md)."
    )
    yield CheckResult(Severity.WARNING, sentence, len(ids), ids, advice)


def _seals(facts: Facts) -> Iterator[CheckResult]:
    sentence, keys = "the sealing key opens all that it sealed", facts.signing_keys
    if keys.closed:
        advice = f"{sealed_keys.describe_closed(facts.settings)}."
        yield CheckResult(Severity.FAULT, sentence, len(keys.closed), tuple(keys.closed), advice)
    elif keys.earlier:
        advice = "The one before still opens these. Once all deciding workers have both: `postroom clients reseal`."
        yield CheckResult(Severity.WARNING, sentence, len(keys.earlier), tuple(keys.earlier), advice)
    else:
        yield ok(sentence)


def _rules(facts: Facts) -> Iterator[CheckResult]:
    yield from check_rules(facts.rules)


def _audit_chain(facts: Facts) -> Iterator[CheckResult]:
    name = "no entry of the audit was changed or removed"
    if facts.audit is None or facts.audit.wrong_seq is None:
        yield ok(name)
        return
    advice = (
        f"Entry {facts.audit.wrong_seq} does not fit the chain. Either it was tampered with, or the setting"
        " POSTROOM_PEPPER has changed since. `postroom audit verify` reads all."
    )
    yield fault(name, advice)


def _is_near(used: int, limit: int) -> bool:
    return limit > 0 and used * 100 >= limit * _NEAR_PERCENT


PARTS: tuple[Callable[[Facts], Iterable[CheckResult]], ...] = (
    _settings,
    _parked,
    _lanes,
    _relay,
    _broker,
    _connections,
    _tokens,
    _seals,
    _rules,
    _audit_chain,
)
"""The checks that are about no invariant, in the order in which they are shown."""
