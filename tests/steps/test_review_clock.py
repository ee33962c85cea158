"""The clock of reviews: when a case is due, what its expiry does, and how long senders read that staff usually take."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from delivery.records.database import transaction
from delivery.records.pipeline import due
from delivery.settings import Settings
from delivery.vocabulary import CaseState, State
from tasks.context import StepContext
from tasks.steps.review import decide_case, expire_reviews
from tests.steps.test_decisions import Hold, hold
from tests.support.api_client import Headers
from tests.support.build import APPROVED, STAFF
from tests.support.fixtures import Fixtures

__all__ = ["hold"]
OVER = timedelta(days=8)


def acting(context: StepContext, action: str) -> StepContext:
    """Return the context with this setting of `expiry_action`."""
    return replace(context, settings=context.settings.model_copy(update={"expiry_action": action}))


def expired(fixtures: Fixtures) -> list[UUID]:
    """Return the messages that the sweep would expire now."""
    with transaction(fixtures.database) as db:
        return due.expired(db, 10)


def test_a_case_is_due_as_the_settings_say(fixtures: Fixtures, hold: Hold, settings: Settings) -> None:
    case = fixtures.case(hold(fixtures.account()))

    assert case.due_at is not None
    assert abs(case.due_at - case.opened_at - timedelta(minutes=settings.review_minutes)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("refuse", ([State.REFUSED], CaseState.EXPIRED)),
        ("deliver", ([State.DELIVERED], CaseState.APPROVED)),
        ("keep", ([State.HELD], CaseState.OPEN)),
    ],
)
def test_an_expired_review_does_what_the_setting_says(
    fixtures: Fixtures, hold: Hold, context: StepContext, action: str, outcome: tuple[list[State], CaseState]
) -> None:
    message_id = hold(fixtures.account())
    fixtures.let_pass(OVER)

    expire_reviews(acting(context, action), expired(fixtures))

    assert outcome == (fixtures.states(message_id), fixtures.case(message_id).state)
    assert 1 == fixtures.count("audit_event")
    assert [] == expired(fixtures)


def test_a_kept_case_is_escalated_and_expires_again(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    fixtures.let_pass(OVER)
    keeping = acting(context, "keep")
    expire_reviews(keeping, [message_id])
    expire_reviews(keeping, [message_id])

    kept = fixtures.case(message_id)
    fixtures.let_pass(OVER)

    assert (2, True) == (kept.version, kept.escalated_at is not None)
    assert [message_id] == expired(fixtures)


def test_senders_read_how_long_staff_usually_take_once_that_is_known(
    fixtures: Fixtures, hold: Hold, context: StepContext, http: httpx2.Client, key: Headers
) -> None:
    waiting = hold(fixtures.account())

    def read() -> str:
        text: str = http.get(f"/messages/{waiting}", headers=key).json()["meta"]["status_message"]
        return text

    for _ in range(4):
        decide_case(context, fixtures.case(hold(fixtures.account())).case_id, replace(APPROVED, actor=STAFF))
    unknown = read()
    decide_case(context, fixtures.case(hold(fixtures.account())).case_id, APPROVED)
    fixtures.run_sql("UPDATE vetting_case SET opened_at = opened_at - interval '7 minutes' WHERE state = 'approved'")

    assert "Pending review by staff." == unknown
    assert "Pending review by staff. Usually decided within 8 minutes." == read()
