"""Run many seeds on the model: `python -m tests.simulation [N] [FIRST]`, as `make simulate N=... SEED=...` does."""

import sys
from time import monotonic

from tests.simulation.machine import POLICIES, run_seed
from tests.simulation.model import Model, settings_of

_SEEDS = 5_000


def main(number: int = _SEEDS, first: int = 0) -> None:
    """Run this many seeds from `first` on and print how fast. Raises `AssertionError` for a broken invariant."""
    began_at = monotonic()
    for seed in range(first, first + number):
        run_seed([Model(settings_of(POLICIES[seed % 2]))], seed)
    per_minute = round(number / (monotonic() - began_at) * 60)
    sys.stdout.write(f"{number} seeds from {first} on, no invariant broken, {per_minute} a minute\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
