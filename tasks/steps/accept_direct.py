"""Store the direct sends of other programs, many in one transaction, or record why they are refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.intake.celery_task import read_celery_task
from delivery.intake.direct_sends import DirectSend, find_message_id, read_direct_send
from delivery.intake.errors import FieldError, InvalidInput, body_fault
from delivery.intake.unreadable_tasks import find_sender
from delivery.logs import place_of
from delivery.records.database import DATABASE_UNAVAILABLE, transaction
from delivery.records.identities import direct_senders
from delivery.records.identities.direct_senders import DirectSender, identify
from delivery.records.pipeline import direct_send_lock, refused_sends
from delivery.records.pipeline.accept import Acceptance, IncomingMessage, Stored
from delivery.records.pipeline.accept import accept as accept_messages
from delivery.records.pipeline.refused_sends import Refusal
from delivery.transactional_send import faults_of_acceptance
from delivery.vocabulary import QueueName, StepName
from tasks.context import StepContext

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Reading:
    """The fields of a Celery task; of one that cannot be read, why, and the fields that name its sender."""

    fields: Mapping[str, object]
    faults: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class _Send:
    """One Celery task, as far as it could be read; only in one without faults are both `sent` and `client_id` set."""

    task: bytes
    message_id: UUID | None = None
    client_id: UUID | None = None
    sent: DirectSend | None = None
    faults: tuple[FieldError, ...] = ()


def accept(context: StepContext, tasks: Sequence[bytes]) -> list[bytes]:
    """Store these direct sends or record why they are refused. Return those that are done and can be removed.

    A second task for one message is left for the next call, when the result of the first is known; all are left while
    another process holds the lock. Raises one of `DATABASE_UNAVAILABLE`; none of them is stored then.
    Safe to run twice: a stored message is known by its id.
    """
    crash_here(CrashPoint.DIRECT_SEEN)
    readings = {task: _read(task) for task in tasks}
    with transaction(context.database) as db:
        if not direct_send_lock.try_lock_direct_sends(db):
            return []
        known = direct_senders.find(db, [each.fields for each in readings.values()])
        senders = {task: identify(each.fields, known, context.settings) for task, each in readings.items()}
        sends = _first_of_each_message(_validate(task, each, senders[task]) for task, each in readings.items())
        accepted = accept_messages(db, _incoming(sends), grace=context.settings.grace)
        refusals = [refusal for each in sends if (refusal := _refusal(each, accepted))]
        refused_sends.record(db, refusals)
        by_token = direct_senders.note_tokens(db, _by_token(senders.values()))
        crash_here(CrashPoint.DIRECT_WRITTEN)
    crash_here(CrashPoint.DIRECT_COMMITTED)
    stored = [message_id for message_id, each in accepted.items() if isinstance(each, Stored)]
    context.doorbell.ring(StepName.DECIDE, QueueName.DECIDE, stored)
    _log_refusals(refusals)
    _log_tokens(context, by_token)
    return [each.task for each in sends]


def accept_or_refuse(context: StepContext, tasks: Sequence[bytes]) -> list[bytes]:
    """Do what `accept` does. When it fails, do so for each task alone, and refuse the tasks it fails on.

    Raises one of `DATABASE_UNAVAILABLE` or `ConnectionError`, which no task can cause. The caller tries again then, and
    a message whose commit happened all the same is known by its id.
    """
    try:
        return accept(context, tasks)
    except (*DATABASE_UNAVAILABLE, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - a defect at one task must not hold up the others
        if len(tasks) > 1:
            return [done for each in tasks for done in accept_or_refuse(context, [each])]
        return _give_up(context, tasks[0], error)


def _read(task: bytes) -> _Reading:
    try:
        return _Reading(read_celery_task(task))
    except InvalidInput as invalid:
        return _Reading(find_sender(task), tuple(invalid.faults))


def _validate(task: bytes, reading: _Reading, sender: DirectSender) -> _Send:
    """Check one stage after the other, as the API does: credentials, scope, shape."""
    fields = reading.fields
    faults = reading.faults or ((sender.fault,) if sender.fault else ())
    message_id = find_message_id(fields)
    if faults:
        return _Send(task, message_id, sender.client_id, faults=faults)
    try:
        return _Send(task, message_id, sender.client_id, read_direct_send(fields))
    except InvalidInput as invalid:
        return _Send(task, message_id, sender.client_id, faults=tuple(invalid.faults))


def _by_token(senders: Iterable[DirectSender]) -> set[UUID]:
    return {each.client_id for each in senders if each.is_by_token and each.client_id is not None}


def _sender_of(context: StepContext, task: bytes) -> tuple[UUID | None, UUID | None]:
    """Return the id of the message and the client of a task that the step failed on, as far as they can be found."""
    try:
        reading = _read(task)
        with transaction(context.database) as db:
            known = direct_senders.find(db, [reading.fields])
        return find_message_id(reading.fields), identify(reading.fields, known, context.settings).client_id
    except (*DATABASE_UNAVAILABLE, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - it may be just this that the step failed on
        _log.error("step_failed", step="accept", error=type(error).__name__, where=place_of(error))
        return None, None


def _first_of_each_message(sends: Iterable[_Send]) -> list[_Send]:
    """Keep every refused send, and of the others the first for each message."""
    seen: set[UUID] = set()
    kept: list[_Send] = []
    for each in sends:
        if each.sent is None or each.sent.message_id not in seen:
            kept.append(each)
        if each.sent is not None:
            seen.add(each.sent.message_id)
    return kept


def _incoming(sends: Iterable[_Send]) -> list[IncomingMessage]:
    return [
        IncomingMessage(each.sent.message_id, each.client_id, each.sent.draft, is_own_id=True)
        for each in sends
        if each.sent is not None and each.client_id is not None
    ]


def _refusal(each: _Send, accepted: Mapping[UUID, Acceptance]) -> Refusal | None:
    faults = each.faults
    if each.sent is not None:
        faults = tuple(faults_of_acceptance(each.sent, accepted[each.sent.message_id]))
    return Refusal(each.message_id, each.client_id, faults) if faults else None


def _log_refusals(refusals: Sequence[Refusal]) -> None:
    """Log a line for each refused send of a client, and one for all that belong to none: any program can push those."""
    for each in refusals:
        if each.client_id is not None:
            _log.info("direct_send_refused", client_id=str(each.client_id), codes=_codes([each]))
    foreign = [each for each in refusals if each.client_id is None]
    if foreign:
        _log.info("direct_send_refused", client_id=None, codes=_codes(foreign), sends=len(foreign))


def _log_tokens(context: StepContext, client_ids: Iterable[UUID]) -> None:
    """Warn of clients that send by token, once an hour for each: every program that reads the broker can use it."""
    until = context.settings.direct_tokens_until.isoformat()
    for each in client_ids:
        what_now = "give it a signing key: postroom clients add-key CLIENT --kind signing_key"
        _log.warning("direct_send_by_token", client_id=str(each), until=until, what_now=what_now)


def _codes(refusals: Iterable[Refusal]) -> list[str]:
    return sorted({fault.code for each in refusals for fault in each.faults})


def _give_up(context: StepContext, task: bytes, error: Exception) -> list[bytes]:
    """Refuse a task that our own code failed on: if it stayed in the queue, the step would fail on it forever."""
    _log.error("step_failed", step="accept", error=type(error).__name__, where=place_of(error))
    message_id, client_id = _sender_of(context, task)
    failure = body_fault("internal_error", "Taking this in failed for a reason of our own. It is in the worker's log.")
    with transaction(context.database) as db:
        refused_sends.record(db, [Refusal(message_id, client_id, tuple(failure.faults))])
    return [task]
