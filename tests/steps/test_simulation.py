"""The simulation runs the same steps on its model and on PostgreSQL, whose rows never differ."""

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
def open_model_and_postgres(database: database.Database, base_settings: Settings, tmp_path: Path) -> OpenStores:
    """Return a function that opens a model and an empty database that must agree with it."""
    numbers = count()

    @contextmanager
    def open_both(policy: Policy) -> Iterator[Sequence[Store]]:
        settings = base_settings.model_copy(update={**CHOSEN, "unknown_policy": policy})
        postgres = Postgres(database, settings, tmp_path / str(next(numbers)))
        try:
            yield [Model(settings_of(policy)), postgres]
        finally:
            postgres.close()

    def open_stores(policy: Policy) -> AbstractContextManager[Sequence[Store]]:
        return open_both(policy)

    return open_stores


def test_in_generated_runs_the_database_does_what_the_model_does(open_model_and_postgres: OpenStores) -> None:
    explore(open_model_and_postgres, examples=12, steps=30)


@pytest.mark.parametrize("seed", range(20))
def test_in_seeded_runs_the_database_does_what_the_model_does(open_model_and_postgres: OpenStores, seed: int) -> None:
    with open_model_and_postgres(POLICIES[seed % 2]) as stores:
        run_seed(stores, seed)
