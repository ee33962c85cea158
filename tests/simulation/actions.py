"""Every action that may happen in the simulation. A seed, or hypothesis, throws the dice that choose its details."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from delivery.intake.messages import Draft
from delivery.records.pipeline.accept import IncomingMessage, Stored
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import CaseState, Channel, MessageType, Reason, StepName
from tests.simulation.store import HELD_PHRASE, MACHINES, DueQuery, PendingBell, SimulatedAccount
from tests.simulation.world import ACCOUNTS, CUTS, REPLIES, SimulatedWorld
from tests.support import build

Choice = TypeVar("Choice")

_KEYS = (None, None, "one key", "another key")
_BODIES = ("How are you?", "How are you?", f"Please {HELD_PHRASE}.")
_STEPS = (StepName.DECIDE, StepName.VET, StepName.DELIVER)
_WAITS = (1, 4, 40, 480, 1920, 46_080)
"""In ticks: from a quarter of a minute to longer than staff have for a decision."""
_LEASE, _PATIENCE = 4, 40
_ACCOUNTS = (
    SimulatedAccount(),
    SimulatedAccount(Channel.EMAIL),
    SimulatedAccount(Channel.EMAIL),
    SimulatedAccount(is_asleep=True),
    SimulatedAccount(Channel.EMAIL, is_asleep=True),
    SimulatedAccount(is_closed=True),
    SimulatedAccount(is_suspended=True),
)


class Dice:
    """A list of throws, used one after the other. After the last one, `pick` takes the first choice."""

    def __init__(self, throws: Sequence[int]) -> None:
        self._throws: Iterator[int] = iter(throws)

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Return one of these choices."""
        return choices[next(self._throws, 0) % len(choices)]


def accept(world: SimulatedWorld, dice: Dice) -> None:
    """Send one message, two at once, or one again. The API rings the bell for those that were stored."""
    incoming = [_make_incoming(world, dice) for _ in range(dice.pick((1, 1, 1, 2)))]
    by_id = {each.message_id: each for each in incoming}
    answers = world.call(lambda store: store.accept(list(by_id.values())))
    for message_id in [each for each, answer in answers.items() if isinstance(answer, Stored)]:
        world.observed.stored.add(message_id)
        world.bells.append(PendingBell(StepName.DECIDE, message_id))
        if HELD_PHRASE in by_id[message_id].draft.body:
            world.observed.flagged.add(message_id)


def _make_incoming(world: SimulatedWorld, dice: Dice) -> IncomingMessage:
    is_again = world.message_count > 0 and dice.pick((False, False, False, True))
    world.message_count += not is_again
    start, size = dice.pick(range(len(ACCOUNTS))), dice.pick((1, 2, 3))
    recipient_ids = tuple(ACCOUNTS[(start + offset) % len(ACCOUNTS)] for offset in range(size))
    draft = Draft(recipient_ids, "Grace", None, "Hello", dice.pick(_BODIES), MessageType.OTHER)
    message_id = UUID(int=build.MESSAGE_ID.int + world.message_count)
    key = None if is_again else dice.pick(_KEYS)
    return IncomingMessage(message_id, build.CLIENT_ID, draft, key, is_own_id=key is None)


def run_bell(world: SimulatedWorld, dice: Dice) -> None:
    """Run the step of one bell, or of several merged ones. Sometimes the bell stays and is delivered again."""
    if not world.bells:
        return
    first, worker = dice.pick(world.bells), dice.pick(world.running)
    is_isolated = dice.pick((True, False))
    together = [each for each in world.bells if each == first or (each.step is first.step and not is_isolated)]
    if dice.pick((True, True, False)):
        world.bells = [each for each in world.bells if each not in together]
    world.run(first.step, worker, [each.row_id for each in together])


def lose_bells(world: SimulatedWorld, dice: Dice) -> None:
    """Lose one bell, or all of them."""
    if dice.pick((True, False)) and world.bells:
        world.bells.remove(dice.pick(world.bells))
    else:
        world.bells.clear()


def forge_bell(world: SimulatedWorld, dice: Dice) -> None:
    """Run a step for ids that no step rang for, known and unknown ones."""
    step = dice.pick(_STEPS)
    missing: list[UUID | int] = [len(world.view.rows) + 7 if step is StepName.DELIVER else UUID(int=0)]
    known: list[UUID | int] = list(world.view.rows) if step is StepName.DELIVER else list(world.view.messages)
    one = [dice.pick(known or missing)]
    world.run(step, dice.pick(world.running), dice.pick((known, one, missing)))


def advance(world: SimulatedWorld, dice: Dice) -> None:
    """Take one attempt one phase further."""
    if world.work:
        world.advance(dice.pick(world.work), dice.pick((*REPLIES[:1] * 3, *REPLIES, *CUTS, None)))


def finish(world: SimulatedWorld, dice: Dice) -> None:
    """Continue one attempt until its outcome is recorded."""
    if world.work:
        chosen, reply = dice.pick(world.work), dice.pick((*REPLIES[:1] * 4, *REPLIES, *CUTS, None))
        while chosen in world.work:
            world.advance(chosen, reply)


def record_again(world: SimulatedWorld, dice: Dice) -> None:
    """Record an outcome for an attempt that is no longer the newest of its recipient."""
    if world.work:
        outcome = dice.pick(
            (Outcome(OutcomeKind.SENT, channel=Channel.INBOX), Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER))
        )
        attempt = dice.pick(world.work).attempt
        if world.view.rows[attempt.recipient_id].attempt != attempt.number:
            world.record_outcome(attempt, outcome)


def claim_again(world: SimulatedWorld, dice: Dice) -> None:
    """Let a run that is under way claim again, as after a commit whose answer was lost."""
    active_runs = [run for run in world.runs if run.worker in world.running]
    if active_runs:
        world.claim(dice.pick(active_runs), list(world.view.rows))


def overtake(world: SimulatedWorld, dice: Dice) -> None:
    """Freeze all workers until their leases expire, let one worker sweep, then let a frozen attempt go on."""
    frozen, worker = dice.pick(world.work or [None]), dice.pick(world.running)
    for passed, queries in ((_LEASE, DueQuery.of_leases()), (dice.pick((_PATIENCE, 0)), DueQuery.of_retries())):
        world.call(lambda store, some=passed: store.advance_clock(some))  # type: ignore[misc] # mypy and defaults
        for query in queries:
            world.sweep(query, worker)
            world.observe()
    while frozen is not None and frozen in world.work:
        world.advance(frozen, dice.pick(REPLIES))


def poison(world: SimulatedWorld, dice: Dice) -> None:
    """Crash three workers on the same messages, then ring for these messages again."""
    query = dice.pick((DueQuery.UNDECIDED, DueQuery.UNOPENED))
    for _ in range(3):
        world.call(lambda store: store.advance_clock(_LEASE))
        for each in (query, DueQuery.SUSPECT):
            world.sweep(each, world.running[0], crashes="before")
        for worker in world.crashed[-2:]:
            world.call(lambda store, one=worker: store.recover_worker(one, one % MACHINES))  # type: ignore[misc] # see above
        world.observe()
    world.run(dice.pick((StepName.DECIDE, StepName.VET)), world.running[0], list(world.view.messages))


def crash(world: SimulatedWorld, dice: Dice) -> None:
    """Crash a worker, preferably one with attempts under way."""
    busy = sorted({each.worker for each in world.work})
    world.kill(dice.pick(busy or world.running))


def recover(world: SimulatedWorld, dice: Dice) -> None:
    """Recover a crashed worker from its own machine or another. Another machine also takes a frozen one for crashed."""
    frozen = [each.worker for each in world.work]
    worker = dice.pick([*world.crashed, *frozen] or world.running)
    machine = (worker + dice.pick((0, 0, 1))) % MACHINES if worker in world.crashed else (worker + 1) % MACHINES
    world.call(lambda store: store.recover_worker(worker, machine))


def sweep(world: SimulatedWorld, dice: Dice) -> None:
    """Let a worker sweep with one query and run the step of what it finds. Sometimes the worker crashes on it."""
    world.sweep(dice.pick(list(DueQuery)), dice.pick(world.running), crashes=dice.pick(("", "", "", "before", "after")))


def close_case(world: SimulatedWorld, dice: Dice) -> None:
    """Let staff decide about a message, whether or not it has an open case."""
    if not world.view.messages:
        return
    cases = [each for each, message in world.view.messages.items() if message.case is not None]
    message_id = dice.pick(cases if dice.pick((True, True, False)) and cases else list(world.view.messages))
    state = dice.pick((CaseState.APPROVED, CaseState.APPROVED, CaseState.REJECTED))
    is_open = world.view.messages[message_id].case is CaseState.OPEN
    is_closed_now = world.call(lambda store: store.close_case(message_id, state))
    assert is_open == is_closed_now, "A case is decided once, and while it is open."
    if is_closed_now and state is CaseState.APPROVED:
        world.observed.approved.add(message_id)


def advance_clock(world: SimulatedWorld, dice: Dice) -> None:
    """Let time pass: leases expire, retries come due, reviews expire."""
    passed = dice.pick(_WAITS)
    world.call(lambda store: store.advance_clock(passed))


def change_account(world: SimulatedWorld, dice: Dice) -> None:
    """Change the preferences or the status of an account."""
    world.put_account(dice.pick(ACCOUNTS), dice.pick(_ACCOUNTS))


def fail_step(world: SimulatedWorld, dice: Dice) -> None:
    """Let a step fail on a message or a recipient, so that it is postponed."""
    if not world.view.rows:
        return
    if dice.pick((False, True)):
        number = dice.pick(list(world.view.rows))
        world.call(lambda store: store.postpone_recipients([number]))
    else:
        message_id = dice.pick(list(world.view.messages))
        world.call(lambda store: store.postpone_messages([message_id]))


def release(world: SimulatedWorld, dice: Dice) -> None:
    """Let an operator release the parked recipients of a message."""
    if world.view.messages:
        message_id = dice.pick(list(world.view.messages))
        world.call(lambda store: store.release(message_id))


_WEIGHTS: dict[Callable[[SimulatedWorld, Dice], None], int] = {
    accept: 3,
    run_bell: 5,
    lose_bells: 1,
    forge_bell: 1,
    advance: 6,
    finish: 2,
    overtake: 2,
    poison: 1,
    record_again: 2,
    claim_again: 1,
    crash: 2,
    recover: 2,
    sweep: 5,
    close_case: 2,
    advance_clock: 4,
    change_account: 1,
    fail_step: 1,
    release: 1,
}
ACTIONS = {action.__name__: action for action in _WEIGHTS}
WEIGHTED = tuple(action.__name__ for action, weight in _WEIGHTS.items() for _ in range(weight))
"""The names of all actions, each as often as its weight."""
