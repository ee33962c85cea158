"""Check a live system: every invariant of its rows, then its workers and its broker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from delivery.records.database import Database, snapshot
from delivery.records.views import invariants
from delivery.records.views.invariants import CheckScope, Violation
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerView
from delivery.settings import Settings
from tasks.broker.queue_depth import read_queues
from tasks.lanes import LANES

_SEEN_WITHIN = timedelta(seconds=15)


class Severity(StrEnum):
    """The result of one check: it holds, an operator should look at it, or it is violated."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found: what must hold; where it does not, the rows at fault and what to do.

    `count` is None when the check was not finished, or when it is about no rows.
    """

    severity: Severity
    name: str
    count: int | None = 0
    rows: tuple[str, ...] = ()
    advice: str = ""


def check(settings: Settings, database: Database, scope: CheckScope, *, timeout: timedelta) -> list[CheckResult]:
    """Check everything, read-only. Raises one of `DATABASE_UNAVAILABLE` when the database does not answer."""
    with snapshot(database, timeout=timeout) as db:
        workers = registry.workers(db, within=_SEEN_WITHIN)
        violations = list(invariants.ask(db, scope))
        parked = deaths.parked(db, scope.limit)
    lanes = list(_lanes(workers))
    broker = _broker(settings)
    return [*(_result(each, [*lanes, broker]) for each in violations), _parked(parked), *lanes, broker]


def _result(violation: Violation, parts: Sequence[CheckResult]) -> CheckResult:
    invariant = violation.invariant
    if violation.count == 0:
        return CheckResult(Severity.OK, invariant.name)
    if violation.count is None:
        advice = "The query took too long: raise --timeout, or check when the database is less busy."
        return CheckResult(Severity.FAULT, invariant.name, None, (), advice)
    return CheckResult(Severity.FAULT, invariant.name, violation.count, violation.rows, _advice(invariant, parts))


def _advice(invariant: invariants.Invariant, parts: Sequence[CheckResult]) -> str:
    """Return what to do. Where work is stuck, the likely reason comes first: a worker or broker that is not there."""
    if not invariant.is_about_stuck_work:
        return invariant.advice
    missing = [each.name for each in parts if each.severity is not Severity.OK]
    likely = (
        f"Likely because this does not hold: {'; '.join(missing)}."
        if missing
        else "All workers and the broker are alive."
    )
    return f"{likely} {invariant.advice}"


def _parked(message_ids: Sequence[UUID]) -> CheckResult:
    sentence = "nothing is parked"
    if not message_ids:
        return CheckResult(Severity.OK, sentence)
    advice = "Remove the cause that `postroom why MESSAGE` shows, then run `postroom release MESSAGE`."
    return CheckResult(Severity.WARNING, sentence, len(message_ids), tuple(map(str, message_ids)), advice)


def _lanes(workers: Sequence[WorkerView]) -> Iterator[CheckResult]:
    for name, lane in LANES.items():
        is_alive = any(set(lane.queues) <= set(worker.queues) for worker in workers)
        sentence = f"a worker of the lane {name} is alive"
        yield (
            CheckResult(Severity.OK, sentence)
            if is_alive
            else CheckResult(
                Severity.FAULT,
                sentence,
                None,
                (),
                f"Start one: `postroom worker {name}`. The log of the last one shows why it stopped.",
            )
        )


def _broker(settings: Settings) -> CheckResult:
    sentence = "the broker answers"
    if not settings.bell or read_queues(settings) is not None:
        return CheckResult(Severity.OK, sentence)
    return CheckResult(
        Severity.WARNING, sentence, None, (), "Without it everything is delivered, only later. Check BROKER_URL."
    )
