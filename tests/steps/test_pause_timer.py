"""A decision takes effect when its pause ends: the API process rings, and does not wait for a sweep."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import pytest
from redis import Redis

from api_stub.background.pause_timer import PauseTimer
from delivery.records.database import Database
from delivery.rules.case_decisions import Actor, ActorKind, CaseDecision, CaseVerdict
from delivery.settings import Settings
from delivery.vocabulary import QueueName, State, StepName
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.review import decide_case
from tasks.steps.undo import undo_decision
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.api_server import open_door
from tests.support.desk import Browser, add_staff
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell, RungBell, StepDriver
from tests.support.waiting import wait_until

_VERA = Actor(ActorKind.STAFF, "1", "Vera")
_PAUSE_S = 0.2


@pytest.fixture
def timer(database: Database, bells: RecordingDoorbell) -> Iterator[PauseTimer]:
    """Yield a timer that rings a recording doorbell."""
    with closing(PauseTimer(database, bells)) as timer:
        yield timer


@pytest.fixture
def hold(fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell) -> Callable[[], UUID]:
    """Return a function that holds a message to an inbox, and returns its id."""

    def hold_message() -> UUID:
        message_id = fixtures.message(fixtures.account(), body=HELD_PHRASE)
        decide(context, [message_id])
        vet(context, [message_id])
        bells.rung.clear()
        return message_id

    return hold_message


def approve(context: StepContext, case_id: UUID) -> None:
    """Approve a case with a short pause."""
    decide_case(context, case_id, CaseDecision(CaseVerdict.APPROVE, _VERA, pause=timedelta(seconds=_PAUSE_S)))


def test_an_approved_message_leaves_when_the_pause_ends(
    timer: PauseTimer, hold: Callable[[], UUID], fixtures: Fixtures, context: StepContext, driver: StepDriver
) -> None:
    message_id = hold()

    approve(context, fixtures.case(message_id).case_id)
    timer.ring_in(_PAUSE_S)
    wait_until(lambda: driver.bells.rung)
    rung = driver.run()

    assert RungBell(StepName.APPLY, QueueName.VETTING, (message_id,)) == rung
    assert [State.DELIVERED] == fixtures.states(message_id)


def test_a_decision_that_was_undone_rings_no_bell(
    timer: PauseTimer, hold: Callable[[], UUID], fixtures: Fixtures, context: StepContext, driver: StepDriver
) -> None:
    undone, kept = hold(), hold()
    approve(context, fixtures.case(undone).case_id)
    undo_decision(context, fixtures.case(undone).case_id, _VERA)
    approve(context, fixtures.case(kept).case_id)

    timer.ring_in(_PAUSE_S)
    wait_until(lambda: driver.bells.rung)

    assert [(kept,)] == [each.ids for each in driver.bells.rung]


def test_a_decision_at_the_desk_rings_after_its_pause(
    hold: Callable[[], UUID],
    fixtures: Fixtures,
    settings: Settings,
    broker: Redis,
    new_browser: Callable[..., Browser],
) -> None:
    message_id = hold()
    case_id = fixtures.case(message_id).case_id
    add_staff(fixtures.database)

    with open_door(settings.model_copy(update={"undo_pause_s": 1})) as http:
        browser = new_browser(http)
        browser.log_in()
        browser.open(f"/desk/cases/{case_id}")
        browser.send(f"/desk/cases/{case_id}/approve")
        is_early = broker.llen(QueueName.VETTING)
        wait_until(lambda: broker.llen(QueueName.VETTING))

    assert not is_early
    assert 1 == broker.llen(QueueName.VETTING)
