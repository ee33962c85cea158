"""A message that sweeps crashed on three times is parked until its release; messages beside it are delivered."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from delivery.records.database import transaction
from delivery.records.pipeline import due
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerIdentity
from delivery.vocabulary import Channel, Reason, State
from tasks.context import StepContext
from tasks.runner import APPLY_DECISIONS, DECIDE, EXPIRE_REVIEWS, VET
from tasks.steps.decide import decide
from tasks.steps.recover_worker import recover_worker
from tasks.steps.release import release
from tasks.steps.review import decide_case
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.steps.test_sweep import sweeping
from tests.support.build import APPROVED
from tests.support.dead_worker import DEAD_WORKER, recovering_context
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until
from worker.runtime.sweep import SWEEP_QUERIES


@pytest.fixture
def context(context: StepContext, tmp_path: Path) -> StepContext:
    """Return a context with its journals in a folder of this test, and a sweep that rests 20 ms."""
    return recovering_context(context, tmp_path)


def crash_a_sweep_on(fixtures: Fixtures, context: StepContext, *message_ids: UUID) -> None:
    """Record that a sweep of the dead worker began on these messages, and recover that worker."""
    with transaction(fixtures.database) as db:
        registry.heartbeat(db, WorkerIdentity(DEAD_WORKER, "here", 1, ("decide",)))
    with transaction(fixtures.database) as db:
        deaths.begin_trying(db, DEAD_WORKER, message_ids)
    recover_worker(context, DEAD_WORKER)


def test_a_message_that_three_sweeps_crashed_on_is_parked_and_no_bell_decides_it(
    fixtures: Fixtures, context: StepContext
) -> None:
    message_id = fixtures.message(fixtures.account(), fixtures.account())

    for _ in range(3):
        before_the_third = fixtures.reasons(message_id)
        crash_a_sweep_on(fixtures, context, message_id)
    decide(context, [message_id])

    assert [None] * 2 == before_the_third
    assert ([State.ACCEPTED] * 2, [Reason.POISONED] * 2) == (fixtures.states(message_id), fixtures.reasons(message_id))


def test_a_parked_message_is_decided_after_its_release(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account())
    for _ in range(3):
        crash_a_sweep_on(fixtures, context, message_id)

    release(context, message_id)
    with sweeping(context):
        _await(fixtures, message_id, State.DELIVERED)


def test_a_message_tried_together_with_poison_is_delivered(fixtures: Fixtures, context: StepContext) -> None:
    other, poison = fixtures.message(fixtures.account()), fixtures.message(fixtures.account())
    crash_a_sweep_on(fixtures, context, other, poison)
    crash_a_sweep_on(fixtures, context, poison)
    crash_a_sweep_on(fixtures, context, poison)
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        _await(fixtures, other, State.DELIVERED)

    assert [State.ACCEPTED] == fixtures.states(poison)


def test_a_held_message_is_parked_when_opening_its_case_crashes_three_workers(
    fixtures: Fixtures, context: StepContext
) -> None:
    message_id = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [message_id])

    for _ in range(3):
        crash_a_sweep_on(fixtures, context, message_id)

    assert ([State.HELD], [Reason.POISONED]) == (fixtures.states(message_id), fixtures.reasons(message_id))


def test_a_case_whose_expiry_crashes_workers_is_parked_and_staff_can_still_decide_it(
    fixtures: Fixtures, context: StepContext
) -> None:
    message_id = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [message_id])
    vet(context, [message_id])
    fixtures.let_pass(timedelta(days=30))

    for _ in range(3):
        before_the_third = fixtures.reasons(message_id)
        crash_a_sweep_on(fixtures, context, message_id)
    with transaction(fixtures.database) as db:
        due_now = due.expired(db, limit=10)
    after_the_third = fixtures.reasons(message_id)
    decide_case(context, fixtures.case(message_id).case_id, APPROVED)

    assert ([Reason.FLAGGED], [Reason.POISONED], []) == (before_the_third, after_the_third, due_now)
    assert [State.DELIVERED] == fixtures.states(message_id)


def test_a_crash_does_not_count_for_a_held_message_that_waits_for_staff(
    fixtures: Fixtures, context: StepContext
) -> None:
    message_id = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [message_id])
    vet(context, [message_id])

    crash_a_sweep_on(fixtures, context, message_id)

    assert [(0,)] == [tuple(row) for row in fixtures.run_sql("SELECT deaths FROM message")]


def test_every_sweep_query_of_messages_is_recorded_and_held_messages_are_taken_one_by_one() -> None:
    queries = [
        each for queue in SWEEP_QUERIES.values() for each in queue if each.step.postpone is due.postpone_messages
    ]

    assert {DECIDE, VET, APPLY_DECISIONS, EXPIRE_REVIEWS} == {each.step for each in queries if each.is_of_messages}
    assert [] == [each for each in queries if not each.is_of_messages]
    assert {1} == {each.size for each in queries if each.step in {VET, EXPIRE_REVIEWS}}


def test_a_crash_after_the_decision_is_not_counted(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [message_id])

    crash_a_sweep_on(fixtures, context, message_id)

    assert [(0,)] == [tuple(row) for row in fixtures.run_sql("SELECT deaths FROM message")]


def test_a_sweep_that_does_not_crash_deletes_its_record(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account())
    with transaction(fixtures.database) as db:
        registry.heartbeat(db, WorkerIdentity(context.worker_id, "here", 1, ("decide",)))
    fixtures.let_pass(timedelta(seconds=5))

    with sweeping(context):
        _await(fixtures, message_id, State.DELIVERED)

    assert [([],)] == [tuple(row) for row in fixtures.run_sql("SELECT trying FROM worker")]


def _await(fixtures: Fixtures, message_id: UUID, state: State) -> None:
    wait_until(lambda: {state} == set(fixtures.states(message_id)))
