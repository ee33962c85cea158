"""The benchmarks count a run only when its results are right to the last row."""

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
class Judged:
    """A contender that has done its work: the database of this test."""

    url: str
    settled_once: str = Postroom.settled_once
    is_open: str = Postroom.is_open
    finished_at: str = Postroom.finished_at


@pytest.fixture
def judged(base_settings: Settings) -> Judged:
    """Give the database of this test as a contender."""
    url: SecretStr = base_settings.database_url
    return Judged(url.get_secret_value())


@pytest.fixture
def ordered(fixtures: Fixtures, context: StepContext) -> tuple[Population, list[Order]]:
    """Deliver two messages, one of them to an account that is closed to everybody too."""
    open_id, closed_id = fixtures.account(), fixtures.account(is_closed=True)
    orders = [Order(ids, fixtures.message(*ids)) for ids in ((open_id, closed_id), (closed_id,))]
    decide(context, [order.message_id for order in orders])
    return Population((open_id, closed_id), frozenset([closed_id]), fixtures.client_id), orders


def fault(judged: Judged, ordered: tuple[Population, list[Order]]) -> str | None:
    """Judge what is in the database."""
    return contenders.verify(judged, *ordered).fault  # type: ignore[arg-type] # as much of one as judging needs


def test_a_run_that_is_right_counts(judged: Judged, ordered: tuple[Population, list[Order]]) -> None:
    assert fault(judged, ordered) is None


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE recipient SET state = 'delivered', channel = 'inbox'", "outcomes: 1 of 3"),
        ("DELETE FROM inbox_letter", "outcomes: 2 of 3, letters: 0 of 1"),
        ("UPDATE message SET good_count = 1, open_count = 0", "statuses: 1 of 2"),
        ("UPDATE message SET decided_at = NULL", "statuses: 0 of 2"),
        ("INSERT INTO inbox_letter SELECT -1, account_id, message_id FROM inbox_letter", "letters: 2 of 1"),
        ("UPDATE recipient SET message_id = gen_random_uuid()", "messages: 0 of 2"),
    ],
)
def test_a_run_with_one_wrong_row_does_not(
    judged: Judged, ordered: tuple[Population, list[Order]], fixtures: Fixtures, damage: str, what: str
) -> None:
    fixtures.ask(damage)

    found = fault(judged, ordered)

    assert found is not None
    assert what in found


def test_a_message_that_is_missing_is_noticed(judged: Judged, ordered: tuple[Population, list[Order]]) -> None:
    population, orders = ordered
    lost = Order((population.account_ids[0],), UUID(int=1))

    assert "messages: 2 of 3" in (fault(judged, (population, [*orders, lost])) or "")


@pytest.fixture
def aged(judged: Judged, fixtures: Fixtures) -> Population:
    """Give the store of this test a past, in which one account in two is closed to everybody."""
    ids = [fixtures.account(is_closed=bool(number % 2)) for number in range(2 * old_rows.RECIPIENTS)]
    population = Population(tuple(ids), frozenset(ids[1::2]), fixtures.client_id)
    old_rows.fill(judged.url, population, 30, tell=lambda _: None)
    return population


def test_old_rows_are_such_as_deciding_would_have_left(judged: Judged, aged: Population) -> None:
    past = [Order(aged.account_ids[: old_rows.RECIPIENTS]) for _ in range(30)]

    assert contenders.verify(judged, aged, past).fault is None  # type: ignore[arg-type] # see above


def test_old_rows_break_no_invariant(fixtures: Fixtures, aged: Population) -> None:
    del aged
    with transaction(fixtures.database) as db:
        found = list(invariants.ask(db, invariants.CheckScope(is_everything=True)))

    assert found
    assert [] == [each for each in found if each.count != 0]


def test_what_is_older_than_a_run_neither_disturbs_its_judging_nor_helps_it(
    judged: Judged, aged: Population, ordered: tuple[Population, list[Order]], fixtures: Fixtures
) -> None:
    del aged
    population, orders = ordered
    since = min(order.message_id for order in orders)

    def fault_since() -> str | None:
        return contenders.verify(judged, population, orders, since=since).fault  # type: ignore[arg-type] # see above

    assert fault_since() is None
    fixtures.ask("DELETE FROM inbox_letter WHERE recipient_id = (SELECT max(recipient_id) FROM inbox_letter)")
    assert "letters: 0 of 1" in (fault_since() or "")
