"""The check-up of a live system: every invariant of its rows, its workers and its broker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from delivery.records.database import Database, snapshot
from delivery.records.views import invariants
from delivery.records.views.invariants import Finding, Scope
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerView
from delivery.settings import Settings
from tasks.broker.queue_depth import look
from tasks.lanes import LANES

_SEEN_WITHIN = timedelta(seconds=15)


class Mark(StrEnum):
    """How one line of the check-up came out."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was checked: what must hold, and where it does not the rows at fault and what to do."""

    mark: Mark
    name: str
    count: int | None = 0
    rows: tuple[str, ...] = ()
    advice: str = ""


def check(settings: Settings, database: Database, scope: Scope, *, timeout: timedelta) -> list[Line]:
    """Check everything, read-only. Raises one of `STORE_UNAVAILABLE` when the database cannot be asked."""
    with snapshot(database, timeout=timeout) as db:
        workers = registry.workers(db, within=_SEEN_WITHIN)
        findings = list(invariants.ask(db, scope))
        parked = deaths.parked(db, scope.limit)
    lanes = list(_lanes(workers))
    broker = _broker(settings)
    return [*(_line(each, [*lanes, broker]) for each in findings), _parked(parked), *lanes, broker]


def _line(finding: Finding, living: Sequence[Line]) -> Line:
    invariant = finding.invariant
    if finding.count == 0:
        return Line(Mark.OK, invariant.name)
    if finding.count is None:
        advice = "It was not answered in time: give --timeout, or ask when the database is less busy."
        return Line(Mark.FAULT, invariant.name, None, (), advice)
    return Line(Mark.FAULT, invariant.name, finding.count, finding.rows, _advice(invariant, living))


def _advice(invariant: invariants.Invariant, living: Sequence[Line]) -> str:
    """Say what to do; where work is stuck, begin with the likely reason: a part that is not there."""
    if not invariant.is_about_stuck_work:
        return invariant.advice
    missing = [each.name for each in living if each.mark is not Mark.OK]
    likely = f"Likely because this does not hold: {'; '.join(missing)}." if missing else "All parts are alive."
    return f"{likely} {invariant.advice}"


def _parked(message_ids: Sequence[UUID]) -> Line:
    sentence = "nothing is set aside"
    if not message_ids:
        return Line(Mark.OK, sentence)
    advice = "Mend the cause that `postroom why MESSAGE` tells, then `postroom release MESSAGE`."
    return Line(Mark.WARNING, sentence, len(message_ids), tuple(map(str, message_ids)), advice)


def _lanes(workers: Sequence[WorkerView]) -> Iterator[Line]:
    for name, lane in LANES.items():
        is_alive = any(set(lane.queues) <= set(worker.queues) for worker in workers)
        sentence = f"a worker of the lane {name} is alive"
        yield (
            Line(Mark.OK, sentence)
            if is_alive
            else Line(
                Mark.FAULT, sentence, None, (), f"Start one: `postroom worker {name}`; its log says why it ended."
            )
        )


def _broker(settings: Settings) -> Line:
    sentence = "the broker answers"
    if not settings.bell or look(settings) is not None:
        return Line(Mark.OK, sentence)
    return Line(
        Mark.WARNING, sentence, None, (), "Without it everything is delivered, only later. Is BROKER_URL right?"
    )
