"""All that may happen, each by a few throws of dice. A seed, or hypothesis, throws them."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from delivery.intake.messages import Draft
from delivery.records.pipeline.accept import IncomingMessage, Stored
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import CaseState, Channel, MessageType, Reason, StepName
from tests.simulation.store import HELD_PHRASE, MACHINES, PendingBell, Question, Wish
from tests.simulation.world import ACCOUNTS, CUTS, REPLIES, SimulatedWorld
from tests.support import build

Choice = TypeVar("Choice")

_KEYS = (None, None, "one key", "another key")
_BODIES = ("How are you?", "How are you?", f"Please {HELD_PHRASE}.")
_STEPS = (StepName.DECIDE, StepName.VET, StepName.DELIVER)
_WAITS = (1, 4, 40, 480, 1920, 46_080)
"""In ticks: from a quarter of a minute over two hours to more than staff have."""
_LEASE, _PATIENCE = 4, 40
_WISHES = (
    Wish(),
    Wish(Channel.EMAIL),
    Wish(Channel.EMAIL),
    Wish(is_asleep=True),
    Wish(Channel.EMAIL, is_asleep=True),
    Wish(is_closed=True),
    Wish(is_suspended=True),
)


class Dice:
    """Throws that were thrown before, one after the other; after the last one the first choice is taken."""

    def __init__(self, throws: Sequence[int]) -> None:
        self._throws: Iterator[int] = iter(throws)

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Choose one."""
        return choices[next(self._throws, 0) % len(choices)]


def accept(world: SimulatedWorld, dice: Dice) -> None:
    """Take in a message, or two at once, or one again; the door rings for what was stored."""
    arrivals = [_arrival(world, dice) for _ in range(dice.pick((1, 1, 1, 2)))]
    given = {each.message_id: each for each in arrivals}
    answers = world.ask(lambda store: store.accept(list(given.values())))
    for message_id in [each for each, answer in answers.items() if isinstance(answer, Stored)]:
        world.ledger.stored.add(message_id)
        world.bells.append(PendingBell(StepName.DECIDE, message_id))
        if HELD_PHRASE in given[message_id].draft.body:
            world.ledger.flagged.add(message_id)


def _arrival(world: SimulatedWorld, dice: Dice) -> IncomingMessage:
    is_again = world.messages > 0 and dice.pick((False, False, False, True))
    world.messages += not is_again
    start, size = dice.pick(range(len(ACCOUNTS))), dice.pick((1, 2, 3))
    recipient_ids = tuple(ACCOUNTS[(start + place) % len(ACCOUNTS)] for place in range(size))
    draft = Draft(recipient_ids, "Grace", None, "Hello", dice.pick(_BODIES), MessageType.OTHER)
    message_id = UUID(int=build.MESSAGE_ID.int + world.messages)
    key = None if is_again else dice.pick(_KEYS)
    return IncomingMessage(message_id, build.CLIENT_ID, draft, key, is_own_id=key is None)


def hear(world: SimulatedWorld, dice: Dice) -> None:
    """Take a bell to its step, or several as one; sometimes it stays, and rings again."""
    if not world.bells:
        return
    first, worker = dice.pick(world.bells), dice.pick(world.group)
    is_isolated = dice.pick((True, False))
    together = [each for each in world.bells if each == first or (each.step is first.step and not is_isolated)]
    if dice.pick((True, True, False)):
        world.bells = [each for each in world.bells if each not in together]
    world.run(first.step, worker, [each.about for each in together])


def lose(world: SimulatedWorld, dice: Dice) -> None:
    """Lose a bell, or all of them."""
    if dice.pick((True, False)) and world.bells:
        world.bells.remove(dice.pick(world.bells))
    else:
        world.bells.clear()


def forge(world: SimulatedWorld, dice: Dice) -> None:
    """Take a bell to a step that nobody rang."""
    step = dice.pick(_STEPS)
    nobody: list[UUID | int] = [len(world.view.rows) + 7 if step is StepName.DELIVER else UUID(int=0)]
    known: list[UUID | int] = list(world.view.rows) if step is StepName.DELIVER else list(world.view.sheets)
    one = [dice.pick(known or nobody)]
    world.run(step, dice.pick(world.group), dice.pick((known, one, nobody)))


def work(world: SimulatedWorld, dice: Dice) -> None:
    """Go one step further with one attempt."""
    if world.work:
        world.advance(dice.pick(world.work), dice.pick((*REPLIES[:1] * 3, *REPLIES, *CUTS, None)))


def finish(world: SimulatedWorld, dice: Dice) -> None:
    """Go on with one attempt until its outcome is recorded."""
    if world.work:
        chosen, reply = dice.pick(world.work), dice.pick((*REPLIES[:1] * 4, *REPLIES, *CUTS, None))
        while chosen in world.work:
            world.advance(chosen, reply)


def record_again(world: SimulatedWorld, dice: Dice) -> None:
    """Record an outcome of some attempt that ever was, whoever made it."""
    if world.work:
        outcome = dice.pick(
            (Outcome(OutcomeKind.SENT, channel=Channel.INBOX), Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER))
        )
        attempt = dice.pick(world.work).attempt
        if world.view.rows[attempt.recipient_id].attempt != attempt.number:
            world.record_outcome(attempt, outcome)


def claim_again(world: SimulatedWorld, dice: Dice) -> None:
    """Let a living run claim once more: its first commit was cut off."""
    living = [run for run in world.runs if run.worker in world.group]
    if living:
        world.claim(dice.pick(living), list(world.view.rows))


def overtake(world: SimulatedWorld, dice: Dice) -> None:
    """Let all workers freeze until their leases are over, one take up what they had in hand, and another wake."""
    frozen, worker = dice.pick(world.work or [None]), dice.pick(world.group)
    for passed, questions in ((_LEASE, Question.of_leases()), (dice.pick((_PATIENCE, 0)), Question.of_retries())):
        world.ask(lambda store, some=passed: store.let_pass(some))  # type: ignore[misc] # mypy and defaults
        for question in questions:
            world.sweep(question, worker)
            world.settle()
    while frozen is not None and frozen in world.work:
        world.advance(frozen, dice.pick(REPLIES))


def poison(world: SimulatedWorld, dice: Dice) -> None:
    """Let three workers die of the same messages, and ring for those once more."""
    question = dice.pick((Question.UNDECIDED, Question.UNOPENED))
    for _ in range(3):
        world.ask(lambda store: store.let_pass(_LEASE))
        for each in (question, Question.SUSPECT):
            world.sweep(each, world.group[0], dies="before")
        for worker in world.dead[-2:]:
            world.ask(lambda store, one=worker: store.recover_worker(one, one % MACHINES))  # type: ignore[misc] # see above
        world.settle()
    world.run(dice.pick((StepName.DECIDE, StepName.VET)), world.group[0], list(world.view.sheets))


def die(world: SimulatedWorld, dice: Dice) -> None:
    """Let a worker die with what it has in hand: rather one that has something."""
    busy = sorted({each.worker for each in world.work})
    world.kill(dice.pick(busy or world.group))


def bury(world: SimulatedWorld, dice: Dice) -> None:
    """Bury a dead worker, from its own machine or from another; from another, a frozen one is taken for dead too."""
    frozen = [each.worker for each in world.work]
    worker = dice.pick([*world.dead, *frozen] or world.group)
    machine = (worker + dice.pick((0, 0, 1))) % MACHINES if worker in world.dead else (worker + 1) % MACHINES
    world.ask(lambda store: store.recover_worker(worker, machine))


def sweep(world: SimulatedWorld, dice: Dice) -> None:
    """Let a sweep ask one question and work on what it finds; sometimes its worker dies of that."""
    world.sweep(dice.pick(list(Question)), dice.pick(world.group), dies=dice.pick(("", "", "", "before", "after")))


def rule(world: SimulatedWorld, dice: Dice) -> None:
    """Let staff decide about a message, whether or not it is theirs to decide."""
    if not world.view.sheets:
        return
    cases = [each for each, sheet in world.view.sheets.items() if sheet.case is not None]
    message_id = dice.pick(cases if dice.pick((True, True, False)) and cases else list(world.view.sheets))
    state = dice.pick((CaseState.APPROVED, CaseState.APPROVED, CaseState.REJECTED))
    is_open = world.view.sheets[message_id].case is CaseState.OPEN
    is_ruled = world.ask(lambda store: store.close_case(message_id, state))
    assert is_open == is_ruled, "A case is decided once, and while it is open."
    if is_ruled and state is CaseState.APPROVED:
        world.ledger.approved.add(message_id)


def let_pass(world: SimulatedWorld, dice: Dice) -> None:
    """Let time pass: frozen workers lose their leases, retries come due, staff are too late."""
    passed = dice.pick(_WAITS)
    world.ask(lambda store: store.let_pass(passed))


def change(world: SimulatedWorld, dice: Dice) -> None:
    """Let an account holder think otherwise."""
    world.enroll(dice.pick(ACCOUNTS), dice.pick(_WISHES))


def break_step(world: SimulatedWorld, dice: Dice) -> None:
    """Let a step break on something, so that it is set aside."""
    if not world.view.rows:
        return
    if dice.pick((False, True)):
        number = dice.pick(list(world.view.rows))
        world.ask(lambda store: store.postpone_recipients([number]))
    else:
        message_id = dice.pick(list(world.view.sheets))
        world.ask(lambda store: store.postpone_messages([message_id]))


def release(world: SimulatedWorld, dice: Dice) -> None:
    """Let an operator release what is parked of a message."""
    if world.view.sheets:
        message_id = dice.pick(list(world.view.sheets))
        world.ask(lambda store: store.release(message_id))


_WEIGHTS: dict[Callable[[SimulatedWorld, Dice], None], int] = {
    accept: 3,
    hear: 5,
    lose: 1,
    forge: 1,
    work: 6,
    finish: 2,
    overtake: 2,
    poison: 1,
    record_again: 2,
    claim_again: 1,
    die: 2,
    bury: 2,
    sweep: 5,
    rule: 2,
    let_pass: 4,
    change: 1,
    break_step: 1,
    release: 1,
}
DEEDS = {deed.__name__: deed for deed in _WEIGHTS}
WEIGHTED = tuple(deed.__name__ for deed, weight in _WEIGHTS.items() for _ in range(weight))
"""The names of all deeds, the frequent ones several times."""
