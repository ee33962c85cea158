"""The benchmarks count a run only when every row of its results is correct."""

from dataclasses import dataclass
from uuid import UUID

import pytest
from pydantic import SecretStr

from benchmarks import contenders, old_rows
from benchmarks.population import Order, Population
from benchmarks.postroom import Postroom
from delivery.records.database import transaction
from delivery.records.views import invariants
from delivery.settings import Settings
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.support.fixtures import Fixtures


@dataclass(frozen=True, slots=True)
class FinishedContender:
    """A contender that has finished its run in the database of this test."""

    url: str
    settled_once: str = Postroom.settled_once
    is_open: str = Postroom.is_open
    finished_at: str = Postroom.finished_at


@pytest.fixture
def contender(base_settings: Settings) -> FinishedContender:
    """Return the database of this test as a contender."""
    url: SecretStr = base_settings.database_url
    return FinishedContender(url.get_secret_value())


@pytest.fixture
def workload(fixtures: Fixtures, context: StepContext) -> tuple[Population, list[Order]]:
    """Deliver two messages, each also or only to an account that accepts no messages."""
    open_id, closed_id = fixtures.account(), fixtures.account(is_closed=True)
    orders = [Order(ids, fixtures.message(*ids)) for ids in ((open_id, closed_id), (closed_id,))]
    decide(context, [order.message_id for order in orders])
    return Population((open_id, closed_id), frozenset([closed_id]), fixtures.client_id), orders


def find_fault(contender: FinishedContender, workload: tuple[Population, list[Order]]) -> str | None:
    """Verify what is in the database and return the fault, if there is one."""
    return contenders.verify(contender, *workload).fault  # type: ignore[arg-type] # it has all that verifying needs


def test_a_correct_run_counts(contender: FinishedContender, workload: tuple[Population, list[Order]]) -> None:
    assert find_fault(contender, workload) is None


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("UPDATE recipient SET state = 'delivered', channel = 'inbox'", "outcomes: 1 of 3"),
        ("DELETE FROM inbox_letter", "outcomes: 2 of 3, letters: 0 of 1"),
        ("UPDATE message SET good_count = 1, open_count = 0", "statuses: 1 of 2"),
        ("UPDATE message SET decided_at = NULL", "statuses: 0 of 2"),
        ("INSERT INTO inbox_letter SELECT -1, account_id, message_id FROM inbox_letter", "letters: 2 of 1"),
        ("UPDATE recipient SET message_id = gen_random_uuid()", "messages: 0 of 2"),
    ],
)
def test_a_run_with_one_wrong_row_does_not_count(
    contender: FinishedContender,
    workload: tuple[Population, list[Order]],
    fixtures: Fixtures,
    damage: str,
    expected: str,
) -> None:
    fixtures.run_sql(damage)

    found = find_fault(contender, workload)

    assert found is not None
    assert expected in found


def test_a_missing_message_is_noticed(contender: FinishedContender, workload: tuple[Population, list[Order]]) -> None:
    population, orders = workload
    lost = Order((population.account_ids[0],), UUID(int=1))

    assert "messages: 2 of 3" in (find_fault(contender, (population, [*orders, lost])) or "")


@pytest.fixture
def old_population(contender: FinishedContender, fixtures: Fixtures) -> Population:
    """Fill the database of this test with old rows, in which every second account accepts no messages."""
    ids = [fixtures.account(is_closed=bool(number % 2)) for number in range(2 * old_rows.RECIPIENTS)]
    population = Population(tuple(ids), frozenset(ids[1::2]), fixtures.client_id)
    old_rows.fill(contender.url, population, 30, tell=lambda _: None)
    return population


def test_old_rows_are_as_the_decide_step_would_have_left_them(
    contender: FinishedContender, old_population: Population
) -> None:
    old_orders = [Order(old_population.account_ids[: old_rows.RECIPIENTS]) for _ in range(30)]

    assert contenders.verify(contender, old_population, old_orders).fault is None  # type: ignore[arg-type] # see above


def test_old_rows_break_no_invariant(fixtures: Fixtures, old_population: Population) -> None:
    del old_population
    with transaction(fixtures.database) as db:
        found = list(invariants.ask(db, invariants.CheckScope(is_everything=True)))

    assert found
    assert [] == [each for each in found if each.count != 0]


def test_rows_older_than_a_run_do_not_change_its_verification(
    contender: FinishedContender,
    old_population: Population,
    workload: tuple[Population, list[Order]],
    fixtures: Fixtures,
) -> None:
    del old_population
    population, orders = workload
    since = min(order.message_id for order in orders)

    def find_fault_since() -> str | None:
        return contenders.verify(contender, population, orders, since=since).fault  # type: ignore[arg-type] # see above

    assert find_fault_since() is None
    fixtures.run_sql("DELETE FROM inbox_letter WHERE recipient_id = (SELECT max(recipient_id) FROM inbox_letter)")
    assert "letters: 0 of 1" in (find_fault_since() or "")
