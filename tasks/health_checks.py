"""The check-up of a live system: every invariant of its rows, its workers and its broker."""

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
from tasks.broker.queue_depth import look
from tasks.lanes import LANES

_SEEN_WITHIN = timedelta(seconds=15)


class Severity(StrEnum):
    """How one line of the check-up came out."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was checked: what must hold, and where it does not the rows at fault and what to do."""

    severity: Severity
    name: str
    count: int | None = 0
    rows: tuple[str, ...] = ()
    advice: str = ""


def check(settings: Settings, database: Database, scope: CheckScope, *, timeout: timedelta) -> list[CheckResult]:
    """Check everything, read-only. Raises one of `STORE_UNAVAILABLE` when the database cannot be asked."""
    with snapshot(database, timeout=timeout) as db:
        workers = registry.workers(db, within=_SEEN_WITHIN)
        violations = list(invariants.ask(db, scope))
        parked = deaths.parked(db, scope.limit)
    lanes = list(_lanes(workers))
    broker = _broker(settings)
    return [*(_line(each, [*lanes, broker]) for each in violations), _parked(parked), *lanes, broker]


def _line(violation: Violation, living: Sequence[CheckResult]) -> CheckResult:
    invariant = violation.invariant
    if violation.count == 0:
        return CheckResult(Severity.OK, invariant.name)
    if violation.count is None:
        advice = "It was not answered in time: give --timeout, or ask when the database is less busy."
        return CheckResult(Severity.FAULT, invariant.name, None, (), advice)
    return CheckResult(Severity.FAULT, invariant.name, violation.count, violation.rows, _advice(invariant, living))


def _advice(invariant: invariants.Invariant, living: Sequence[CheckResult]) -> str:
    """Say what to do; where work is stuck, begin with the likely reason: a part that is not there."""
    if not invariant.is_about_stuck_work:
        return invariant.advice
    missing = [each.name for each in living if each.severity is not Severity.OK]
    likely = f"Likely because this does not hold: {'; '.join(missing)}." if missing else "All parts are alive."
    return f"{likely} {invariant.advice}"


def _parked(message_ids: Sequence[UUID]) -> CheckResult:
    sentence = "nothing is set aside"
    if not message_ids:
        return CheckResult(Severity.OK, sentence)
    advice = "Mend the cause that `postroom why MESSAGE` tells, then `postroom release MESSAGE`."
    return CheckResult(Severity.WARNING, sentence, len(message_ids), tuple(map(str, message_ids)), advice)


def _lanes(workers: Sequence[WorkerView]) -> Iterator[CheckResult]:
    for name, lane in LANES.items():
        is_alive = any(set(lane.queues) <= set(worker.queues) for worker in workers)
        sentence = f"a worker of the lane {name} is alive"
        yield (
            CheckResult(Severity.OK, sentence)
            if is_alive
            else CheckResult(
                Severity.FAULT, sentence, None, (), f"Start one: `postroom worker {name}`; its log says why it ended."
            )
        )


def _broker(settings: Settings) -> CheckResult:
    sentence = "the broker answers"
    if not settings.bell or look(settings) is not None:
        return CheckResult(Severity.OK, sentence)
    return CheckResult(
        Severity.WARNING, sentence, None, (), "Without it everything is delivered, only later. Is BROKER_URL right?"
    )
