"""The world around a store: workers that die and freeze, a relay, bells that get lost, and who saw what.

It works on one store or on two at once; two have to answer everything alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from delivery.rules.outcomes import Attempt, Outcome, OutcomeKind
from delivery.rules.smtp_replies import classify_reply
from delivery.vocabulary import Channel, Reason, StepName
from tests.simulation.invariants import PastMoves, check_invariants
from tests.simulation.store import ClaimedRow, PendingBell, Question, StepRun, Store, View, Wish
from tests.support import build

Answer = TypeVar("Answer")

ACCOUNTS = tuple(build.account_id(number) for number in range(1, 6))
_CREW = 3


class Phase(Enum):
    """How far an attempt that needs the network has come."""

    CLAIMED = "claimed"
    NOTED = "noted"
    """The journal says that the final dot is near."""
    ANSWERED = "answered"
    """The relay has answered the final dot, or cut the line."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the relay does with a mail. It keeps a copy or does not; the code -1 is a line that was cut."""

    code: int
    is_kept: bool


REPLIES = (Reply(250, is_kept=True), Reply(550, is_kept=False), Reply(451, is_kept=False))
CUTS = (Reply(-1, is_kept=True), Reply(-1, is_kept=False))
UNREACHABLE = Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER)


@dataclass(slots=True)
class SimulatedWork:
    """An attempt in the hands of a worker."""

    worker: int
    claimed: ClaimedRow
    phase: Phase = Phase.CLAIMED
    outcome: Outcome | None = None
    code: int | None = None

    @property
    def attempt(self) -> Attempt:
        """The attempt."""
        return self.claimed.attempt


@dataclass(slots=True)
class SimulatedWorld:
    """Everything but the store. `crew` are the workers that live; a dead one has a successor at once."""

    stores: Sequence[Store]
    view: View = field(default_factory=lambda: View({}, {}, {}))
    ledger: PastMoves = field(default_factory=PastMoves)
    bells: list[PendingBell] = field(default_factory=list)
    work: list[SimulatedWork] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    runs: list[StepRun] = field(default_factory=list)
    messages: int = 0

    def __post_init__(self) -> None:
        for number, account_id in enumerate(ACCOUNTS):
            self.enroll(account_id, Wish(Channel.EMAIL if number % 2 else Channel.INBOX))
        for _ in range(_CREW):
            self.register()

    def ask(self, question: Callable[[Store], Answer]) -> Answer:
        """Ask every store the same; they have to agree."""
        first, *others = [question(store) for store in self.stores]
        for other in others:
            assert first == other, f"The stores disagree:\n  model    {first}\n  database {other}"
        return first

    def settle(self) -> None:
        """Hear who rang, look at what is stored now, and see that every promise was kept."""
        self.bells += self.ask(lambda store: store.rung())
        before, self.view = self.view, self.look()
        check_invariants(before, self.view, self.ledger)

    def look(self) -> View:
        """See what is stored; where two stores differ, say in which rows."""
        first, *others = [store.look() for store in self.stores]
        for other in others:
            different = _differences(first, other)
            assert [] == different, "\n  ".join(["The stores differ (model, database):", *map(str, different)])
        return first

    def enroll(self, account_id: UUID, wish: Wish) -> None:
        """Create an account, or let its holder think otherwise."""
        self.ask(lambda store: store.enroll(account_id, wish))

    def register(self) -> None:
        """Start another worker."""
        worker = len(self.group) + len(self.dead)
        self.group.append(worker)
        self.ask(lambda store: store.register(worker))

    def kill(self, worker: int) -> None:
        """Let a worker die with everything that it has in hand."""
        self.work = [each for each in self.work if each.worker != worker]
        self.group.remove(worker)
        self.dead.append(worker)
        self.register()

    def run(self, step: StepName, worker: int, about: Sequence[Any]) -> None:
        """Let a worker run a step that has bells."""
        if step is StepName.DECIDE:
            self.ask(lambda store: store.decide(about))
        elif step is StepName.VET:
            self.ask(lambda store: store.vet(about))
        else:
            self.claim(StepRun(worker, len(self.runs)), about)

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool = False) -> None:
        """Let a run claim these, or claim them once more."""
        if run not in self.runs:
            self.runs.append(run)
        for claimed in self.ask(lambda store: store.claim(run, recipients, is_isolated=is_isolated)):
            entry = (claimed.attempt.recipient_id, claimed.attempt.number)
            assert run == self.ledger.claims.setdefault(entry, run), "One attempt is in the hands of two."
            if all(entry != (each.attempt.recipient_id, each.attempt.number) for each in self.work):
                self.work.append(SimulatedWork(run.worker, claimed))

    def advance(self, work: SimulatedWork, reply: Reply | None) -> None:
        """Go one step further with an attempt. No reply is a relay that cannot be reached."""
        if work.outcome is not None or isinstance(work.claimed.verdict, Outcome):
            self.record(work)
        elif work.phase is Phase.CLAIMED and reply is None:
            work.outcome = UNREACHABLE
        elif work.phase is Phase.CLAIMED:
            self.ask(lambda store: store.note(work.worker, work.attempt, None))
            self.ledger.touched.add(work.attempt.recipient_id)
            work.phase = Phase.NOTED
        elif work.phase is Phase.NOTED:
            self._hand_over(work, reply or CUTS[1])
        else:
            self.ask(lambda store: store.note(work.worker, work.attempt, work.code))
            work.outcome = classify_reply(work.code or -1, None)

    def _hand_over(self, work: SimulatedWork, reply: Reply) -> None:
        work.phase, work.code = Phase.ANSWERED, reply.code
        self.ledger.copies[work.attempt.recipient_id] += reply.is_kept

    def record(self, work: SimulatedWork) -> None:
        """Record an outcome: it counts for whoever still holds the claim, and changes nothing for anybody else."""
        self.work.remove(work)
        self.record_outcome(work.attempt, work.outcome or work.claimed.verdict)

    def record_outcome(self, attempt: Attempt, outcome: object) -> None:
        """Record this as the outcome of that attempt."""
        assert isinstance(outcome, Outcome)
        row = self.view.rows[attempt.recipient_id]
        is_entitled = (row.state, row.attempt) == ("claimed", attempt.number)
        is_recorded = self.ask(lambda store: store.record(attempt, outcome))
        assert is_entitled == is_recorded, "An outcome counts if and only if its attempt is under way."
        if not is_recorded:
            assert self.view == self.look(), "A late outcome changes nothing."

    def sweep(self, question: Question, worker: int, *, dies: str = "") -> None:
        """Let the sweep of a worker ask one question and take what is due."""
        found: list[Any] = list(self.ask(lambda store: store.due(question)))
        machine = worker % 2
        if not found:
            return
        if question in {Question.UNDECIDED, Question.SUSPECT}:
            self._try(StepName.DECIDE, worker, found, dies)
        elif question is Question.UNOPENED:
            self._try(StepName.VET, worker, found, dies)
        elif question is Question.EXPIRED:
            self.ask(lambda store: store.expire_reviews(found))
        elif question in {Question.LAPSED_INBOX, Question.LAPSED_EMAIL}:
            self.ask(lambda store: store.expire_leases(found, machine))
        else:
            self.claim(StepRun(worker, len(self.runs)), found, is_isolated=question in Question.of_suspects())

    def _try(self, step: StepName, worker: int, found: Sequence[UUID], dies: str) -> None:
        """Run a step that workers die of, as the sweep does: with a note of what is tried."""
        self.ask(lambda store: store.begin_trying(worker, found))
        if dies != "before":
            self.run(step, worker, found)
        if dies:
            self.kill(worker)
        else:
            self.ask(lambda store: store.end_trying(worker, found))


def _differences(first: View, second: View) -> list[object]:
    """Find what two views hold differently, each with the name of its page."""
    pairs: list[tuple[Mapping[Any, object], Mapping[Any, object]]] = [
        (first.rows, second.rows),
        (first.sheets, second.sheets),
        (first.letters, second.letters),
    ]
    return [
        (key, mine.get(key), theirs.get(key))
        for mine, theirs in pairs
        for key in sorted(mine.keys() | theirs.keys())
        if mine.get(key) != theirs.get(key)
    ]
