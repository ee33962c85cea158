"""The simulation on the model alone: whatever is lost, repeated, frozen or killed, every invariant holds."""

import pytest

from tests.simulation.broken import BROKEN
from tests.simulation.machine import POLICIES, explore, models, run_seed
from tests.simulation.model import Model, settings_of

_SEEDS = 60
_SEEDS_UNTIL_FOUND = 400


def run(kind: type[Model], seeds: int) -> None:
    """Run this many seeds on models of this kind."""
    for seed in range(seeds):
        run_seed([kind(settings_of(POLICIES[seed % 2]))], seed)


def test_every_invariant_holds_and_every_recipient_becomes_final() -> None:
    run(Model, _SEEDS)


def test_hypothesis_finds_no_way_to_break_an_invariant() -> None:
    explore(models, examples=15, steps=30)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_model_is_found(kind: type[Model]) -> None:
    with pytest.raises(AssertionError):
        run(kind, _SEEDS_UNTIL_FOUND)


def test_a_seed_does_the_same_thing_every_time() -> None:
    first, second = (run_seed([Model(settings_of("resend"))], 7) for _ in range(2))

    assert first == second
