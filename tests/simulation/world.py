"""The world around a store: workers that crash and freeze, a relay, bells that get lost, and what the outside saw.

It works on one store or on two at once. Two have to return the same from every call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from delivery.rules.outcomes import Attempt, Outcome, OutcomeKind
from delivery.rules.smtp_replies import classify_reply
from delivery.vocabulary import Channel, Reason, StepName
from tests.simulation.invariants import Observations, check_invariants
from tests.simulation.store import ClaimedRow, DueQuery, PendingBell, SimulatedAccount, StepRun, Store, View
from tests.support import build

Answer = TypeVar("Answer")

ACCOUNTS = tuple(build.account_id(number) for number in range(1, 6))
_WORKERS = 3


class Phase(Enum):
    """How far an attempt that needs the network has come."""

    CLAIMED = "claimed"
    DATA_END_RECORDED = "data end recorded"
    """The journal says that the end of the data is next."""
    REPLIED = "replied"
    """The relay has replied to the end of the data, or the connection was cut."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the relay does with a mail: its reply code, -1 for a connection that was cut, and whether it kept a copy."""

    code: int
    is_kept: bool


REPLIES = (Reply(250, is_kept=True), Reply(550, is_kept=False), Reply(451, is_kept=False))
CUTS = (Reply(-1, is_kept=True), Reply(-1, is_kept=False))
UNREACHABLE = Outcome(OutcomeKind.UNTRIED, Reason.TRY_LATER)


@dataclass(slots=True)
class SimulatedWork:
    """An attempt that a worker has under way."""

    worker: int
    claimed: ClaimedRow
    phase: Phase = Phase.CLAIMED
    outcome: Outcome | None = None
    code: int | None = None

    @property
    def attempt(self) -> Attempt:
        """The attempt itself."""
        return self.claimed.attempt


@dataclass(slots=True)
class SimulatedWorld:
    """Everything but the store. A worker that crashes has a successor at once."""

    stores: Sequence[Store]
    view: View = field(default_factory=lambda: View({}, {}, {}))
    observed: Observations = field(default_factory=Observations)
    bells: list[PendingBell] = field(default_factory=list)
    work: list[SimulatedWork] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    crashed: list[int] = field(default_factory=list)
    runs: list[StepRun] = field(default_factory=list)
    message_count: int = 0

    def __post_init__(self) -> None:
        for number, account_id in enumerate(ACCOUNTS):
            self.put_account(account_id, SimulatedAccount(Channel.EMAIL if number % 2 else Channel.INBOX))
        for _ in range(_WORKERS):
            self.register()

    def call(self, operation: Callable[[Store], Answer]) -> Answer:
        """Call every store in the same way. Their results have to be equal."""
        first, *others = [operation(store) for store in self.stores]
        for other in others:
            assert first == other, f"The stores disagree:\n  model    {first}\n  database {other}"
        return first

    def observe(self) -> None:
        """Take the bells that were rung, read the stores, and check every invariant."""
        self.bells += self.call(lambda store: store.take_bells())
        before, self.view = self.view, self.read_view()
        check_invariants(before, self.view, self.observed)

    def read_view(self) -> View:
        """Return what is stored. Raises `AssertionError` with the rows in which two stores differ."""
        first, *others = [store.read_view() for store in self.stores]
        for other in others:
            differing = _differences(first, other)
            assert [] == differing, "\n  ".join(["The stores differ (model, database):", *map(str, differing)])
        return first

    def put_account(self, account_id: UUID, account: SimulatedAccount) -> None:
        """Create an account, or replace its preferences and status."""
        self.call(lambda store: store.put_account(account_id, account))

    def register(self) -> None:
        """Start another worker."""
        worker = len(self.running) + len(self.crashed)
        self.running.append(worker)
        self.call(lambda store: store.register(worker))

    def kill(self, worker: int) -> None:
        """Kill a worker with all its attempts, and start its successor."""
        self.work = [each for each in self.work if each.worker != worker]
        self.running.remove(worker)
        self.crashed.append(worker)
        self.register()

    def run(self, step: StepName, worker: int, ids: Sequence[Any]) -> None:
        """Let a worker run the step of a bell."""
        if step is StepName.DECIDE:
            self.call(lambda store: store.decide(ids))
        elif step is StepName.VET:
            self.call(lambda store: store.vet(ids))
        else:
            self.claim(StepRun(worker, len(self.runs)), ids)

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool = False) -> None:
        """Let a run claim these recipients, or claim them again."""
        if run not in self.runs:
            self.runs.append(run)
        for claimed in self.call(lambda store: store.claim(run, recipients, is_isolated=is_isolated)):
            entry = (claimed.attempt.recipient_id, claimed.attempt.number)
            assert run == self.observed.claims.setdefault(entry, run), "Two runs claimed one attempt."
            if all(entry != (each.attempt.recipient_id, each.attempt.number) for each in self.work):
                self.work.append(SimulatedWork(run.worker, claimed))

    def advance(self, work: SimulatedWork, reply: Reply | None) -> None:
        """Take an attempt one phase further. Without a reply, the relay cannot be reached."""
        if work.outcome is not None or isinstance(work.claimed.verdict, Outcome):
            self.record(work)
        elif work.phase is Phase.CLAIMED and reply is None:
            work.outcome = UNREACHABLE
        elif work.phase is Phase.CLAIMED:
            self.call(lambda store: store.write_journal(work.worker, work.attempt, None))
            self.observed.touched.add(work.attempt.recipient_id)
            work.phase = Phase.DATA_END_RECORDED
        elif work.phase is Phase.DATA_END_RECORDED:
            self._end_data(work, reply or CUTS[1])
        else:
            self.call(lambda store: store.write_journal(work.worker, work.attempt, work.code))
            work.outcome = classify_reply(work.code or -1, str(work.code))

    def _end_data(self, work: SimulatedWork, reply: Reply) -> None:
        work.phase, work.code = Phase.REPLIED, reply.code
        self.observed.copies[work.attempt.recipient_id] += reply.is_kept

    def record(self, work: SimulatedWork) -> None:
        """Record the outcome of an attempt and end it."""
        self.work.remove(work)
        self.record_outcome(work.attempt, work.outcome or work.claimed.verdict)

    def record_outcome(self, attempt: Attempt, outcome: object) -> None:
        """Record an outcome for an attempt, and check that it counts only while the attempt is under way."""
        assert isinstance(outcome, Outcome)
        row = self.view.rows[attempt.recipient_id]
        passes_fence = (row.state, row.attempt) == ("claimed", attempt.number)
        is_recorded = self.call(lambda store: store.record(attempt, outcome))
        assert passes_fence == is_recorded, "An outcome counts if and only if its attempt is under way."
        if not is_recorded:
            assert self.view == self.read_view(), "A late outcome changes nothing."
        elif outcome.kind is OutcomeKind.UNTRIED:  # Its number is given back, so another run may use it.
            del self.observed.claims[attempt.recipient_id, attempt.number]

    def sweep(self, query: DueQuery, worker: int, *, crashes: str = "") -> None:
        """Let the sweep of a worker run one query and the step of what it finds."""
        found: list[Any] = list(self.call(lambda store: store.due(query)))
        machine = worker % 2
        if not found:
            return
        if query in {DueQuery.UNDECIDED, DueQuery.SUSPECT}:
            self._try(StepName.DECIDE, worker, found, crashes)
        elif query is DueQuery.UNOPENED:
            self._try(StepName.VET, worker, found, crashes)
        elif query is DueQuery.EXPIRED_REVIEWS:
            self.call(lambda store: store.expire_reviews(found))
        elif query in {DueQuery.EXPIRED_LEASES_INBOX, DueQuery.EXPIRED_LEASES_EMAIL}:
            self.call(lambda store: store.expire_leases(found, machine))
        else:
            self.claim(StepRun(worker, len(self.runs)), found, is_isolated=query in DueQuery.of_suspects())

    def _try(self, step: StepName, worker: int, found: Sequence[UUID], crashes: str) -> None:
        """Run a step as the sweep does, which records what it tries in case the worker crashes on it."""
        self.call(lambda store: store.begin_trying(worker, found))
        if crashes != "before":
            self.run(step, worker, found)
        if crashes:
            self.kill(worker)
        else:
            self.call(lambda store: store.end_trying(worker, found))


def _differences(first: View, second: View) -> list[object]:
    """Return the rows in which two views differ, each with its id."""
    pairs: list[tuple[Mapping[Any, object], Mapping[Any, object]]] = [
        (first.rows, second.rows),
        (first.messages, second.messages),
        (first.letters, second.letters),
    ]
    return [
        (key, left.get(key), right.get(key))
        for left, right in pairs
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]
