"""The simulation on two stores at once: the model and PostgreSQL go through the same, and never hold different rows."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import pytest

from delivery.records import database
from delivery.settings import Settings
from tests.simulation.machine import POLICIES, OpenStores, explore, run_seed
from tests.simulation.model import Model, settings_of
from tests.simulation.postgres import Postgres
from tests.simulation.store import CHOSEN, Policy, Store


@pytest.fixture
def side_by_side(database: database.Database, base_settings: Settings, tmp_path: Path) -> OpenStores:
    """Give what opens a model and an empty database that is to agree with it."""
    numbers = count()

    @contextmanager
    def opened(policy: Policy) -> Iterator[Sequence[Store]]:
        chosen = base_settings.model_copy(update={**CHOSEN, "unknown_policy": policy})
        postgres = Postgres(database, chosen, tmp_path / str(next(numbers)))
        try:
            yield [Model(settings_of(policy)), postgres]
        finally:
            postgres.close()

    def open_stores(policy: Policy) -> AbstractContextManager[Sequence[Store]]:
        return opened(policy)

    return open_stores


def test_whatever_hypothesis_thinks_of_the_database_does_what_the_model_does(side_by_side: OpenStores) -> None:
    explore(side_by_side, examples=12, steps=30)


@pytest.mark.parametrize("seed", range(20))
def test_the_database_does_what_the_model_does(side_by_side: OpenStores, seed: int) -> None:
    with side_by_side(POLICIES[seed % 2]) as stores:
        run_seed(stores, seed)
