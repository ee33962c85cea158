"""Turning the machine: by a seed, or by hypothesis; deeds that must be safe first, then healing that must end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from random import Random

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from delivery.rules.retry import PARKED
from delivery.vocabulary import CaseState, Channel, State
from tests.simulation.actions import DEEDS, WEIGHTED, Dice
from tests.simulation.model import Model, settings_of
from tests.simulation.store import MACHINES, Policy, Question, Row, Store, Wish, ticks
from tests.simulation.world import ACCOUNTS, REPLIES, SimulatedWorld

OpenStores = Callable[[Policy], AbstractContextManager[Sequence[Store]]]

POLICIES: tuple[Policy, ...] = ("resend", "hold")
# The phase that explains a failure runs it many times more.
_PHASES = (Phase.generate, Phase.shrink)
_FIRST_MESSAGES = 3
_THROWS = 6
_SIDES = 60
_ROUNDS = 12
_HALF_A_DAY = 2880
_MORE_THAN_STAFF_HAVE = 46_080


def act(world: SimulatedWorld, deed: str, throws: Sequence[int]) -> None:
    """Do one thing, and see that every promise was kept."""
    DEEDS[deed](world, Dice(throws))
    world.settle()


def run_seed(stores: Sequence[Store], seed: int, *, deeds: int = 60) -> list[str]:
    """Do what this seed says, then heal; answer what was done. Each seed leaves some kinds of deeds out.

    Raises `AssertionError` with the way to where a promise was broken.
    """
    chance, world, done = Random(seed), SimulatedWorld(stores), [f"seed {seed}"]
    left_out = set(chance.sample(sorted(DEEDS), chance.randrange(5))) - {"accept"}
    chosen = [deed for deed in WEIGHTED if deed not in left_out]
    try:
        for number in range(deeds):
            deed = chance.choice(chosen) if number >= _FIRST_MESSAGES else "accept"
            throws = [chance.randrange(_SIDES) for _ in range(_THROWS)]
            done.append(f"{deed} {throws}")
            act(world, deed, throws)
        done.append("heal")
        heal(world)
    except AssertionError as error:
        error.add_note("\n".join(done))
        raise
    return done


def heal(world: SimulatedWorld) -> None:
    """Let nobody die or sleep any more, let the relay take everything, and see that all comes to its end.

    Who is frozen now never wakes, and nobody notices but its leases. What workers died of, or a policy holds back,
    waits for an operator; what is held waits for staff.
    """
    world.work.clear()
    for account_id in ACCOUNTS:
        world.enroll(account_id, Wish(Channel.EMAIL))
    for worker in world.dead:
        world.ask(lambda store, one=worker: store.recover_worker(one, one % MACHINES))  # type: ignore[misc] # mypy and defaults
        world.settle()
    _work_off(world)
    assert [] == [row for row in _moving_rows(world) if not _is_parked(row)], "What is not parked comes to its end."
    for message_id in world.view.sheets:
        world.ask(lambda store, one=message_id: store.release(one))  # type: ignore[misc] # see above
        world.settle()
    _work_off(world)
    assert [] == _moving_rows(world), "What was released comes to its end."
    world.ask(lambda store: store.let_pass(_MORE_THAN_STAFF_HAVE))
    _work_off(world)
    assert [] == [row for row in world.view.rows.values() if row.due is not None], "In the end everything is final."


def _work_off(world: SimulatedWorld) -> None:
    """Sweep without bells, for a few rounds of half a day each."""
    world.bells.clear()
    for _ in range(_ROUNDS):
        for question in Question:
            world.sweep(question, world.group[0])
            world.settle()
        while world.work:
            world.advance(world.work[0], REPLIES[0])
            world.settle()
        if all(map(_is_parked, _moving_rows(world))):
            return
        world.ask(lambda store: store.let_pass(_HALF_A_DAY))
        world.settle()


def _moving_rows(world: SimulatedWorld) -> list[Row]:
    """Give the open recipients that do not wait for staff."""
    cases = {message_id for message_id, sheet in world.view.sheets.items() if sheet.case is CaseState.OPEN}
    rows = [row for row in world.view.rows.values() if row.due is not None]
    return [row for row in rows if not (row.state is State.HELD and row.message_id in cases)]


def _is_parked(row: Row) -> bool:
    return row.due is not None and row.due > ticks(PARKED) // 2


def explore(open_stores: OpenStores, *, examples: int, steps: int) -> None:
    """Let hypothesis drive the machine, and shrink what it finds."""

    class Machine(RuleBasedStateMachine):
        """The deeds as rules of hypothesis."""

        @initialize(policy=st.sampled_from(POLICIES))
        def begin(self, policy: Policy) -> None:
            """Open the stores."""
            self.stores = ExitStack()
            self.world = SimulatedWorld(self.stores.enter_context(open_stores(policy)))
            self.is_sound = True

        @rule(deed=st.sampled_from(WEIGHTED), throws=st.tuples(*[st.integers(0, _SIDES - 1)] * _THROWS))
        def act(self, deed: str, throws: Sequence[int]) -> None:
            """Do one thing."""
            self.is_sound = False
            act(self.world, deed, throws)
            self.is_sound = True

        def teardown(self) -> None:
            """Heal what was not found broken."""
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
    """Open a model alone."""
    yield [Model(settings_of(policy))]
