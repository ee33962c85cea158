"""Drive the simulation by a seed or by hypothesis: random actions that must be safe, then healing that must end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from random import Random

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from delivery.rules.retry import PARKED
from delivery.vocabulary import CaseState, Channel, State
from tests.simulation.actions import ACTIONS, WEIGHTED, Dice
from tests.simulation.model import Model, settings_of
from tests.simulation.store import MACHINES, DueQuery, Policy, Row, SimulatedAccount, Store, ticks
from tests.simulation.world import ACCOUNTS, REPLIES, SimulatedWorld

OpenStores = Callable[[Policy], AbstractContextManager[Sequence[Store]]]

POLICIES: tuple[Policy, ...] = ("resend", "hold")
# Without hypothesis' phase `explain`, which runs a failure many more times.
_PHASES = (Phase.generate, Phase.shrink)
_FIRST_MESSAGES = 3
_THROWS = 6
_SIDES = 60
_ROUNDS = 12
_HALF_A_DAY = 2880
_MORE_THAN_STAFF_HAVE = 46_080


def act(world: SimulatedWorld, action: str, throws: Sequence[int]) -> None:
    """Perform one action and check every invariant."""
    ACTIONS[action](world, Dice(throws))
    world.observe()


def run_seed(stores: Sequence[Store], seed: int, *, actions: int = 60) -> list[str]:
    """Perform the actions of this seed, then heal. Returns the log. Each seed leaves some kinds of actions out.

    Raises `AssertionError` for a broken invariant, with the log as a note.
    """
    random, world, log = Random(seed), SimulatedWorld(stores), [f"seed {seed}"]
    left_out = set(random.sample(sorted(ACTIONS), random.randrange(5))) - {"accept"}
    chosen = [action for action in WEIGHTED if action not in left_out]
    try:
        for number in range(actions):
            action = random.choice(chosen) if number >= _FIRST_MESSAGES else "accept"
            throws = [random.randrange(_SIDES) for _ in range(_THROWS)]
            log.append(f"{action} {throws}")
            act(world, action, throws)
        log.append("heal")
        heal(world)
    except AssertionError as error:
        error.add_note("\n".join(log))
        raise
    return log


def heal(world: SimulatedWorld) -> None:
    """Stop all faults, let the relay take every mail, and check that every recipient reaches a final state.

    An attempt that is frozen now never goes on; only its lease ends it. Recipients that are poisoned or kept by a
    policy wait for an operator, held ones for staff.
    """
    world.work.clear()
    for account_id in ACCOUNTS:
        world.put_account(account_id, SimulatedAccount(Channel.EMAIL))
    for worker in world.crashed:
        world.call(lambda store, one=worker: store.recover_worker(one, one % MACHINES))  # type: ignore[misc] # mypy and defaults
        world.observe()
    _sweep_until_quiet(world)
    assert [] == [row for row in _unfinished_rows(world) if not _is_parked(row)], (
        "Every recipient that is not parked becomes final."
    )
    for message_id in world.view.messages:
        world.call(lambda store, one=message_id: store.release(one))  # type: ignore[misc] # see above
        world.observe()
    _sweep_until_quiet(world)
    assert [] == _unfinished_rows(world), "Every released recipient becomes final."
    world.call(lambda store: store.advance_clock(_MORE_THAN_STAFF_HAVE))
    _sweep_until_quiet(world)
    assert [] == [row for row in world.view.rows.values() if row.due is not None], (
        "After all reviews expired, every recipient is final."
    )


def _sweep_until_quiet(world: SimulatedWorld) -> None:
    """Sweep without bells, for a few rounds of half a day each."""
    world.bells.clear()
    for _ in range(_ROUNDS):
        for query in DueQuery:
            world.sweep(query, world.running[0])
            world.observe()
        while world.work:
            world.advance(world.work[0], REPLIES[0])
            world.observe()
        if all(map(_is_parked, _unfinished_rows(world))):
            return
        world.call(lambda store: store.advance_clock(_HALF_A_DAY))
        world.observe()


def _unfinished_rows(world: SimulatedWorld) -> list[Row]:
    """Return the open recipients that do not wait for staff."""
    cases = {message_id for message_id, message in world.view.messages.items() if message.case is CaseState.OPEN}
    rows = [row for row in world.view.rows.values() if row.due is not None]
    return [row for row in rows if not (row.state is State.HELD and row.message_id in cases)]


def _is_parked(row: Row) -> bool:
    return row.due is not None and row.due > ticks(PARKED) // 2


def explore(open_stores: OpenStores, *, examples: int, steps: int) -> None:
    """Let hypothesis choose the actions, and shrink a failure that it finds."""

    class Machine(RuleBasedStateMachine):
        """The actions as rules of hypothesis."""

        @initialize(policy=st.sampled_from(POLICIES))
        def begin(self, policy: Policy) -> None:
            """Open the stores."""
            self.stores = ExitStack()
            self.world = SimulatedWorld(self.stores.enter_context(open_stores(policy)))
            self.is_sound = True

        @rule(action=st.sampled_from(WEIGHTED), throws=st.tuples(*[st.integers(0, _SIDES - 1)] * _THROWS))
        def act(self, action: str, throws: Sequence[int]) -> None:
            """Perform one action."""
            self.is_sound = False
            act(self.world, action, throws)
            self.is_sound = True

        def teardown(self) -> None:
            """Heal, unless an invariant was broken."""
            with self.stores:
                if self.is_sound:
                    heal(self.world)

    chosen = {
        "max_examples": examples,
        "stateful_step_count": steps,
        "deadline": None,
        "database": None,
        "phases": _PHASES,
    }
    run_state_machine_as_test(Machine, settings=settings(derandomize=True, **chosen))  # type: ignore[arg-type] # kinds


@contextmanager
def models(policy: Policy) -> Iterator[Sequence[Store]]:
    """Yield one model."""
    yield [Model(settings_of(policy))]
