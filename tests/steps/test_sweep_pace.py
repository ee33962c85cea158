"""When the sweep continues at once, and when it pauses."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from delivery.records.database import transaction
from delivery.settings import Settings
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tests.steps.test_sweep import sweeping
from tests.support.fixtures import Fixtures
from tests.support.statements import counted
from tests.support.waiting import wait_until

LONGEST_LIST = 25


@pytest.fixture
def context(context: StepContext, settings: Settings) -> StepContext:
    """Return a context without bells, whose sweep pauses for a minute."""
    slow = settings.model_copy(update={"sweep_tick_s": 60.0})
    return replace(context, settings=slow, doorbell=SilentDoorbell())


def store_due_messages(fixtures: Fixtures, number: int) -> None:
    """Store messages with the longest lists of recipients, which the sweep may take now."""
    accounts = fixtures.accounts(LONGEST_LIST)
    fixtures.accept(*(fixtures.incoming(*accounts) for _ in range(number)))
    fixtures.let_pass(timedelta(seconds=5))


def test_a_backlog_of_long_lists_without_bells_is_done_without_a_pause(
    fixtures: Fixtures, context: StepContext
) -> None:
    store_due_messages(fixtures, 60)

    with sweeping(context):
        wait_until(lambda: fixtures.count("inbox_letter") == 60 * LONGEST_LIST)


def test_a_full_query_whose_rows_another_worker_has_locked_is_not_repeated_without_a_pause(
    fixtures: Fixtures, context: StepContext
) -> None:
    store_due_messages(fixtures, 20)

    with transaction(fixtures.database) as locking, counted(fixtures.database) as statements:
        locking.execute(text("SELECT FROM message FOR UPDATE"))

        def rounds() -> int:
            return sum("vetting_case.state = 'open'" in each.sql for each in statements)

        with sweeping(context):
            wait_until(lambda: rounds() == 2)
            for _ in range(50):  # Meanwhile a sweep without a pause would begin many rounds.
                fixtures.count("message")

            assert 2 == rounds()
