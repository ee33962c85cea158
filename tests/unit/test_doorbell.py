"""Bells: how they are merged, which queue they wait in, and that steps trust nothing in them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from delivery.records.database import Database
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel, QueueName, State, StepName
from tasks.broker.doorbell import SilentDoorbell, _Bell, merge, ring_for_deliveries
from tasks.context import StepContext
from tasks.runner import DECIDE, DELIVER, STEPS, Step, StepFailed
from tests.support import build

ONE, TWO = (str(build.account_id(number)) for number in (1, 2))
CONNECTION = object()


@dataclass
class FakeDoorbell:
    """Record what was rung."""

    rung: list[tuple[StepName, QueueName, list[object]]] = field(default_factory=list)
    is_ringing: bool = True

    def ring(self, step: StepName, queue_name: QueueName, ids: Sequence[UUID] | Sequence[int]) -> None:
        """Record a bell, unless it has no ids."""
        if ids:
            self.rung.append((step, queue_name, list(ids)))

    def close(self) -> None:
        """Do nothing."""


class FakeDatabase:
    """A database that answers no statement."""

    @contextmanager
    def begin(self) -> Iterator[object]:
        """Open nothing."""
        yield CONNECTION


@dataclass
class Work:
    """What a step did and which rows it postponed. It fails on `broken` rows."""

    done: list[object] = field(default_factory=list)
    postponed: list[object] = field(default_factory=list)
    broken: frozenset[object] = frozenset()
    error: Exception = field(default_factory=lambda: ValueError("a step's own defect"))

    def run(self, _: StepContext, ids: Sequence[Any]) -> None:
        """Do the work, or fail as a whole."""
        if self.broken & set(ids):
            raise self.error
        self.done += ids

    def postpone(self, db: object, ids: Sequence[object], pause: timedelta) -> set[UUID]:
        """Record the rows that are postponed."""
        assert (CONNECTION, timedelta(seconds=60)) == (db, pause)
        self.postponed += ids
        return set()


def context(doorbell: FakeDoorbell | None = None) -> StepContext:
    """Make a step context without a real database."""
    return StepContext(build.settings(), cast(Database, FakeDatabase()), doorbell or SilentDoorbell())


def make_step(original: Step[Any], work: Work) -> Step[Any]:
    """Make a step that reads ids as the original one and does this work."""
    return replace(original, function=work.run, postpone=work.postpone)


def bell(step: StepName, queue_name: QueueName, *ids: str | int) -> _Bell:
    """Make a bell."""
    return _Bell(step, queue_name, ids)  # type: ignore[arg-type] # one kind of id per call


def test_messages_to_decide_are_merged_into_one_bell() -> None:
    bells = [bell(StepName.DECIDE, QueueName.DECIDE, str(number)) for number in range(3)]

    assert [bell(StepName.DECIDE, QueueName.DECIDE, "0", "1", "2")] == merge(bells)


def test_a_bell_has_at_most_500_messages_and_none_is_lost() -> None:
    bells = [bell(StepName.VET, QueueName.VETTING, *(str(2 * number), str(2 * number + 1))) for number in range(550)]

    merged = merge(bells)

    assert [500, 500, 100] == [len(each.ids) for each in merged]
    assert [str(number) for number in range(1100)] == [each for one in merged for each in one.ids]


def test_a_bell_for_deliveries_has_at_most_16_recipients_and_none_is_lost() -> None:
    merged = merge(
        [
            bell(StepName.DELIVER, QueueName.DELIVER_SMTP, *range(1, 26)),
            bell(StepName.DELIVER, QueueName.DELIVER_SMTP, 26),
        ]
    )

    assert [16, 10] == [len(each.ids) for each in merged]
    assert list(range(1, 27)) == [each for one in merged for each in one.ids]


@given(st.lists(st.tuples(st.sampled_from(StepName), st.lists(st.integers(1, 99), max_size=30)), max_size=20))
def test_merging_loses_no_id_and_keeps_steps_apart(rung: list[tuple[StepName, list[int]]]) -> None:
    merged = merge([bell(step, QueueName.DECIDE, *ids) for step, ids in rung])

    for step in StepName:
        expected = [each for name, ids in rung for each in ids if name is step]
        assert expected == [each for one in merged if one.step is step for each in one.ids]
    assert all(each.ids for each in merged)


def test_a_bell_is_rung_for_queued_recipients_only_in_the_queue_of_their_channel() -> None:
    doorbell = FakeDoorbell()
    transitions = [
        Transition(1, build.MESSAGE_ID, State.ACCEPTED, State.QUEUED, 0, Channel.EMAIL),
        Transition(2, build.MESSAGE_ID, State.ACCEPTED, State.DELIVERED, 0, Channel.INBOX),
        Transition(3, build.MESSAGE_ID, State.ACCEPTED, State.BLOCKED, 0),
        Transition(4, build.MESSAGE_ID, State.HELD, State.QUEUED, 0, Channel.EMAIL),
    ]

    ring_for_deliveries(doorbell, transitions)

    assert [(StepName.DELIVER, QueueName.DELIVER_SMTP, [1, 4])] == doorbell.rung


@pytest.mark.parametrize(
    ("original", "rung", "read"),
    [
        (DECIDE, [ONE, TWO], [UUID(ONE), UUID(TWO)]),
        (DECIDE, [ONE, 5, None, "x", "{" + TWO + "}", [TWO], {}], [UUID(ONE)]),
        (DELIVER, [1, 2**63 - 1], [1, 2**63 - 1]),
        (DELIVER, [0, -1, 2**63, True, 1.0, "7", None, [8], 9], [9]),
        (DELIVER, 7, []),
        (DELIVER, {"7": 7}, []),
        (DELIVER, "7", []),
        (DELIVER, None, []),
        (DECIDE, ONE, []),
        (DECIDE, [], []),
    ],
)
def test_a_bell_is_untrusted_and_invalid_ids_in_it_are_skipped(
    original: Step[Any], rung: object, read: list[object]
) -> None:
    work = Work()

    make_step(original, work).run_bell(context(), rung)

    assert read == work.done


any_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(ONE),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(any_json, st.sampled_from(sorted(STEPS)))
def test_no_bell_breaks_make_step(rung: object, name: StepName) -> None:
    work = Work()

    make_step(STEPS[name], work).run_bell(context(), rung)

    kind = int if name is StepName.DELIVER else UUID
    assert all(type(each) is kind for each in work.done)
    assert [] == work.postponed


def test_a_failing_step_postpones_the_rows_it_fails_on_and_does_the_others() -> None:
    work = Work(broken=frozenset({2, 4}))

    with pytest.raises(StepFailed, match="2 of 5 rows"):
        make_step(DELIVER, work).run(context(), [1, 2, 3, 4, 5])

    assert [1, 3, 5] == work.done
    assert [2, 4] == work.postponed


def test_a_step_that_fails_on_its_only_row_keeps_the_cause() -> None:
    work = Work(broken=frozenset({2}))

    with pytest.raises(StepFailed) as failed:
        make_step(DELIVER, work).run(context(), [2])

    assert work.error is failed.value.__cause__
    assert [2] == work.postponed


def test_without_a_database_nothing_is_postponed_and_the_rows_stay_due() -> None:
    work = Work(broken=frozenset({1}), error=OperationalError("SELECT", {}, Exception("connection refused")))

    with pytest.raises(OperationalError):
        make_step(DELIVER, work).run(context(), [1, 2])

    assert ([], []) == (work.done, work.postponed)


def test_a_delivery_that_fails_or_finds_no_database_does_not_affect_the_others_of_its_bell() -> None:
    for error in (ValueError("a step's own defect"), OperationalError("SELECT", {}, Exception("refused"))):
        work = Work(broken=frozenset({2}), error=error)

        make_step(DELIVER, work).run_bell(context(), [1, 2, 3])

        assert [1, 3] == work.done


def test_a_bell_that_finds_no_database_is_logged_in_one_line_and_raises_nothing_into_celery() -> None:
    unavailable = OperationalError("SELECT", {}, Exception("connection refused"))
    work = Work(broken=frozenset({UUID(ONE)}), error=unavailable)

    with capture_logs() as logged:
        make_step(DECIDE, work).run_bell(context(), [ONE])

    assert ["store_unavailable"] == [line["event"] for line in logged]
    assert [] == work.postponed


def test_a_bell_is_rung_again_for_ids_that_a_stopping_worker_has_not_begun() -> None:
    doorbell, work = FakeDoorbell(), Work()
    stopping = context(doorbell)
    stopping.fan_out.stop()

    make_step(DELIVER, work).run_bell(stopping, [1, 2])

    assert [] == work.done
    assert [(StepName.DELIVER, QueueName.DELIVER_SMTP, [1, 2])] == doorbell.rung


def test_a_step_without_rows_does_not_run() -> None:
    work = Work(broken=frozenset({None}))

    make_step(DELIVER, work).run(context(), [])

    assert [] == work.done


def test_a_silent_doorbell_always_counts_as_ringing() -> None:
    doorbell = SilentDoorbell()

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [build.MESSAGE_ID])
    doorbell.close()

    assert doorbell.is_ringing
