"""Run a step on the ids of a bell or of the sweep, and postpone the rows that it fails on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from celery import Celery

from delivery.crash_points import CrashPoint, crash_here
from delivery.intake.uuids import read_uuid
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, Transaction, transaction
from delivery.records.pipeline import due
from delivery.vocabulary import QueueName, StepName
from tasks.context import StepContext
from tasks.step_failures import place_of, words_of
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver, deliver_isolated
from tasks.steps.expire_leases import expire_leases
from tasks.steps.review import apply_decisions, expire_reviews
from tasks.steps.vet import vet
from tasks.steps.watch_rules import watch_rules

Id = TypeVar("Id", UUID, int)

_log = structlog.get_logger()
_BIGINT_LIMIT = 2**63


class StepFailed(Exception):  # noqa: N818 - a fact about the step; its rows are postponed already
    """A step failed for a reason of our own. The rows that fail alone are logged and postponed."""


@dataclass(frozen=True, slots=True)
class Step(Generic[Id]):
    """A function of `tasks/steps` with its log name, the reader of its ids, and the statement that postpones its rows.

    The ids are those of messages or of recipients.
    """

    name: str
    """The name of this step in logs."""
    function: Callable[[StepContext, Sequence[Id]], None]
    read_id: Callable[[object], Id | None]
    postpone: Callable[..., set[UUID]]
    shared_queue: QueueName | None = None
    """Set if the step waits for a network: the ids of a bell from this queue are shared among the worker's threads."""

    def run_bell(self, context: StepContext, ids: object) -> None:
        """Run the step on the ids of a bell. Bells are untrusted: invalid ids are skipped with one warning per bell.

        Where threads share the ids, those that none has begun when the worker stops are rung again.
        """
        crash_here(CrashPoint.BELL_HEARD)
        items = ids if isinstance(ids, list | tuple) else []
        known = [each for each in map(self.read_id, items) if each is not None]
        if len(known) < len(items) or not items:
            _log.warning("bell_garbled", step=self.name, ids_read=len(known))
        if self.shared_queue is None:
            self._run_or_log(context, known)
        else:
            left = context.fan_out.run(known, lambda each: self._run_or_log(context, [each]))
            context.doorbell.ring(StepName.DELIVER, self.shared_queue, left)

    def run(self, context: StepContext, ids: Sequence[Id]) -> None:
        """Run the step. If it fails, run it on each row alone, and postpone those that fail alone.

        Raises `StepFailed` when any row failed alone. While the database does not answer, its error is raised and the
        rows stay due.
        """
        if not ids:
            return
        try:
            self.function(context, ids)
        except DATABASE_UNAVAILABLE:
            raise
        except Exception as error:
            if len(ids) > 1:
                self._run_one_by_one(context, ids)
            else:
                self._postpone(context, ids, error)
                raise StepFailed(f"{self.name} failed on {ids[0]}, which is postponed.") from error

    def _run_or_log(self, context: StepContext, ids: Sequence[Id]) -> None:
        """Run the step on ids of a bell. Raise no error that is logged already: Celery would log it again."""
        try:
            self.run(context, ids)
        except StepFailed:
            return  # It is logged, and the rows are postponed.
        except DATABASE_UNAVAILABLE as error:
            log_outage(error, what_now="the sweep tries again")

    def _run_one_by_one(self, context: StepContext, ids: Sequence[Id]) -> None:
        failed = 0
        for each in ids:
            try:
                self.run(context, [each])
            except StepFailed:
                failed += 1
        if failed:
            raise StepFailed(f"{self.name} failed on {failed} of {len(ids)} rows, which are postponed.")

    def _postpone(self, context: StepContext, ids: Sequence[Id], error: Exception) -> None:
        message_ids: set[UUID] = set()
        try:
            with transaction(context.database) as db:
                message_ids = self.postpone(db, ids, timedelta(seconds=context.settings.step_pause_s))
        finally:
            _log.error(
                "step_failed",
                step=self.name,
                error=type(error).__name__,
                place=place_of(error),
                words=words_of(error),
                ids=[str(each) for each in ids],
                message_ids=sorted(map(str, message_ids)),
            )


def _read_message_id(item: object) -> UUID | None:
    return read_uuid(item) if isinstance(item, str) else None


def _read_recipient_id(item: object) -> int | None:
    if isinstance(item, bool) or not isinstance(item, int):
        return None
    return item if 0 < item < _BIGINT_LIMIT else None


def _read_nothing(item: object) -> None:
    """Return that a bell has no such id: this step has no bells."""
    del item


def _postpone_nothing(db: Transaction, ids: Sequence[Any], pause: timedelta) -> set[UUID]:
    del db, ids, pause
    return set()


DECIDE = Step("decide", decide, _read_message_id, due.postpone_messages)
VET = Step("vet", vet, _read_message_id, due.postpone_messages)
APPLY_DECISIONS = Step("apply", apply_decisions, _read_message_id, due.postpone_messages)
EXPIRE_REVIEWS = Step("expire", expire_reviews, _read_message_id, due.postpone_messages)
DELIVER = Step("deliver", deliver, _read_recipient_id, due.postpone_recipients, QueueName.DELIVER_SMTP)
DELIVER_ISOLATED = Step("deliver_alone", deliver_isolated, _read_recipient_id, due.postpone_recipients)
EXPIRE_LEASES = Step("lapse", expire_leases, _read_recipient_id, due.postpone_recipients)
# What was not said or done now is in a minute: no row has to wait for that.
WATCH_RULES: Step[Any] = Step("watch_rules", watch_rules, _read_nothing, _postpone_nothing)

STEPS: Mapping[StepName, Step[Any]] = {
    StepName.DECIDE: DECIDE,
    StepName.VET: VET,
    StepName.APPLY: APPLY_DECISIONS,
    StepName.DELIVER: DELIVER,
}
"""The steps that have bells. The sweep alone starts the others, when they are due."""


def register(app: Celery, context: StepContext) -> None:
    """Register every step that has bells as a Celery task, with this context."""
    for name, step in STEPS.items():
        # By default Celery shares tasks, and so this context, between all applications of a process.
        app.task(_task(step, context), name=name, shared=False)


def _task(step: Step[Any], context: StepContext) -> Callable[[object], None]:
    def run(ids: object) -> None:
        step.run_bell(context, ids)

    return run
