"""The other store: PostgreSQL, by the very records and steps that Postroom runs on, behind the same protocol."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.attempt_journal import FileJournal
from delivery.records import database
from delivery.records.database import transaction
from delivery.records.identities import accounts, clients
from delivery.records.identities.accounts import AccountFacts
from delivery.records.pipeline import accept, claims, due, transitions
from delivery.records.pipeline.accept import Acceptance, IncomingMessage
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.records.pipeline.vetting_cases import CaseDecision
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerIdentity
from delivery.rules.outcomes import Attempt, Outcome, next_transition
from delivery.settings import Settings
from delivery.vocabulary import AccountStatus, CaseState, Channel, Reason, Scope, State, Status
from tasks.context import StepContext, apply_unknown_policy
from tasks.steps.decide import decide
from tasks.steps.deliver import check_preferences
from tasks.steps.expire_leases import expire_leases
from tasks.steps.recover_worker import recover_worker
from tasks.steps.release import release
from tasks.steps.review import CaseNotOpen, close_case, expire_reviews
from tasks.steps.vet import vet
from tests.simulation.statements import EMPTY, FRESH, LET_PASS, LETTERS, MAKE_WHOLE, ROWS, SHEETS
from tests.simulation.store import (
    MACHINES,
    TICK,
    ClaimedRow,
    MessageRow,
    PendingBell,
    Question,
    Row,
    StepRun,
    View,
    Wish,
    in_order,
    ticks,
)
from tests.support import build
from tests.support.step_driver import RecordingDoorbell

_HOUR = timedelta(hours=1)
_LIMIT = 500
# No recipient has it.
_NOBODY = 2**62
_FINDERS: dict[Question, Callable[..., Sequence[UUID] | Sequence[int]]] = {
    Question.UNDECIDED: due.undecided,
    Question.SUSPECT: partial(due.undecided, is_suspect=True),
    Question.UNOPENED: due.unopened,
    Question.EXPIRED: due.expired,
    Question.LAPSED_INBOX: partial(due.lapsed, channel=Channel.INBOX),
    Question.LAPSED_EMAIL: partial(due.lapsed, channel=Channel.EMAIL),
    Question.WAITING_INBOX: partial(due.waiting, channel=Channel.INBOX),
    Question.WAITING_EMAIL: partial(due.waiting, channel=Channel.EMAIL),
    Question.SUSPECT_INBOX: partial(due.waiting, channel=Channel.INBOX, is_suspect=True),
    Question.SUSPECT_EMAIL: partial(due.waiting, channel=Channel.EMAIL, is_suspect=True),
}


class Postgres:
    """A store in a real database, emptied for it. Worker and recipient numbers are translated here."""

    def __init__(self, store: database.Database, settings: Settings, folder: Path) -> None:
        self._store = store
        self._bells = RecordingDoorbell()
        self._contexts = [self._open_context(settings, folder / str(machine)) for machine in range(MACHINES)]
        self._settings = settings
        self._recipients: list[int] = []
        self._numbers: dict[int, int] = {}
        self._journals: dict[int, FileJournal] = {}
        self._tokens: dict[StepRun, UUID] = {}
        self._passed = 0
        self._seen_at = monotonic()
        with transaction(store) as db:
            db.execute(EMPTY)
            clients.put(db, build.CLIENT_ID, "a client", scopes=tuple(Scope))

    def _open_context(self, settings: Settings, folder: Path) -> StepContext:
        there = settings.model_copy(update={"journal_folder": str(folder)})
        return StepContext(there, self._store, self._bells, jitter=lambda: 0.0)

    @property
    def _context(self) -> StepContext:
        return self._contexts[0]

    def close(self) -> None:
        """Let go of the journals."""
        for each in self._journals.values():
            each.close()

    def enroll(self, account_id: UUID, wish: Wish) -> None:
        """Create an account, or note what is wanted now."""
        now = datetime.now(UTC)
        facts = AccountFacts(
            account_id,
            "Ada",
            f"{account_id.hex}@example.com",
            status=AccountStatus.SUSPENDED if wish.is_suspended else AccountStatus.ACTIVE,
            channel=wish.channel,
            is_closed=wish.is_closed,
            quiet_hours=((now - _HOUR).time(), (now + 2 * _HOUR).time()) if wish.is_asleep else None,
        )
        with transaction(self._store) as db:
            accounts.put(db, [facts])

    def register(self, worker: int) -> None:
        """Let a worker be known. Its journal lies on the machine `worker % MACHINES`."""
        identity = WorkerIdentity(_worker_id(worker), "here", worker, ("decide",))
        folder = Path(self._contexts[worker % MACHINES].settings.journal_folder)
        self._journals[worker] = FileJournal(folder, identity.worker_id)
        with transaction(self._store) as db:
            registry.heartbeat(db, identity)

    def let_pass(self, passed: int) -> None:
        """Let so many ticks go by."""
        self._passed += passed
        with transaction(self._store) as db:
            db.execute(LET_PASS, {"passed": passed * TICK})

    def accept(self, arrivals: Sequence[IncomingMessage]) -> dict[UUID, Acceptance]:
        """Take these messages in, in one transaction."""
        with transaction(self._store) as db:
            answers = accept.accept(db, arrivals, grace=self._settings.grace)
            stored = [each for each, answer in answers.items() if isinstance(answer, accept.Stored)]
            for recipient_id in db.scalars(FRESH, {"message_ids": stored}):
                self._numbers[recipient_id] = len(self._recipients)
                self._recipients.append(recipient_id)
        return answers

    def decide(self, message_ids: Sequence[UUID]) -> None:
        """Place the recipients of these messages."""
        decide(self._context, message_ids)

    def vet(self, message_ids: Sequence[UUID]) -> None:
        """Open the cases of these messages."""
        vet(self._context, message_ids)

    def close_case(self, message_id: UUID, state: CaseState) -> bool:
        """Decide the case of this message; answer whether there was one that was open."""
        with transaction(self._store) as db:
            found = text("SELECT vetting_id FROM message WHERE id = :message_id")
            vetting_id = db.scalar(found, {"message_id": message_id})
        try:
            close_case(self._context, vetting_id or message_id, CaseDecision(state, "staff"))
        except CaseNotOpen:
            return False
        return True

    def expire_reviews(self, message_ids: Sequence[UUID]) -> None:
        """Close the cases of these messages whose time is over."""
        expire_reviews(self._context, message_ids)

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool) -> list[ClaimedRow]:
        """Claim those of these recipients that may be tried now, beside others or alone; ask their preferences."""
        token, lease = self._tokens.setdefault(run, claims.make_token(_worker_id(run.worker))), self._settings.lease
        with transaction(self._store) as db:
            letters = claims.claim(db, self._ids(recipients), token=token, lease=lease, is_isolated=is_isolated)
        claimed = [ClaimedRow(self._named(letter), _whole(check_preferences(letter))) for letter in letters]
        return sorted(claimed, key=lambda each: each.attempt.recipient_id)

    def note(self, worker: int, attempt: Attempt, code: int | None) -> None:
        """Note in the worker's journal that the final dot is near (no code), or how it was answered."""
        journal, entry = self._journals[worker], (self._recipients[attempt.recipient_id], attempt.number)
        if code is None:
            journal.record_data_end(entry)
        else:
            journal.record_reply(entry, code)

    def record(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Record how an attempt ended; answer whether its writer was still entitled to."""
        real = replace(attempt, recipient_id=self._recipients[attempt.recipient_id])
        ended = apply_unknown_policy(outcome, self._settings)
        with transaction(self._store) as db:
            return bool(
                transitions.apply_transitions(
                    db, [next_transition(real, ended, 0.0, patience=self._settings.send_deadline)]
                )
            )

    def expire_leases(self, recipients: Sequence[int], machine: int) -> None:
        """End those attempts at these recipients whose lease ran out, as far as this machine knows."""
        expire_leases(self._contexts[machine], self._ids(recipients))

    def recover_worker(self, worker: int, machine: int) -> None:
        """End what this worker had under way, as far as this machine knows."""
        recover_worker(self._contexts[machine], _worker_id(worker))

    def begin_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Note that the sweep of this worker works on these."""
        with transaction(self._store) as db:
            deaths.begin_trying(db, _worker_id(worker), message_ids)

    def end_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Note that it survived."""
        with transaction(self._store) as db:
            deaths.end_trying(db, _worker_id(worker), message_ids)

    def postpone_messages(self, message_ids: Sequence[UUID]) -> None:
        """Keep the sweep from these: a step broke on them."""
        with transaction(self._store) as db:
            due.postpone_messages(db, message_ids, timedelta(seconds=self._settings.step_pause_s))

    def postpone_recipients(self, recipients: Sequence[int]) -> None:
        """Keep the sweep from these: a step broke on them."""
        with transaction(self._store) as db:
            due.postpone_recipients(db, self._ids(recipients), timedelta(seconds=self._settings.step_pause_s))

    def release(self, message_id: UUID) -> int:
        """Let what is parked of this message be tried again; answer how many recipients that are."""
        return release(self._context, message_id)

    def due(self, question: Question) -> list[UUID] | list[int]:
        """Answer a question of the sweep, in order."""
        with transaction(self._store) as db:
            found = _FINDERS[question](db, limit=_LIMIT)
        return sorted(self._numbers.get(each, each) if isinstance(each, int) else each for each in found)  # type: ignore[return-value] # one kind of id per question

    def rung(self) -> list[PendingBell]:
        """Give the bells that were rung since this was last asked, in the order of their words."""
        rung = [PendingBell(bell.step, self._numbers.get(each, each)) for bell in self._bells.rung for each in bell.ids]  # type: ignore[arg-type] # UUIDs stay as they are
        self._bells.rung.clear()
        return in_order(rung)

    def look(self) -> View:
        """Show all that is stored."""
        with transaction(self._store) as db:
            self._hold_the_clock(db)
            rows = {self._numbers[row.id]: self._row(row) for row in db.execute(ROWS)}
            sheets = {row.id: self._sheet(row) for row in db.execute(SHEETS)}
            letters = {self._numbers[row.recipient_id]: row.letters for row in db.execute(LETTERS)}
        return View(rows, sheets, letters)

    def _hold_the_clock(self, db: Connection) -> None:
        """Take back what the clock on the wall has gained, before it comes to a whole tick."""
        if monotonic() - self._seen_at > 1:
            self._seen_at = monotonic()
            db.execute(MAKE_WHOLE, {"tick": TICK, "tick_s": TICK.seconds})

    def _row(self, row: Any) -> Row:
        return Row(
            message_id=row.message_id,
            account_id=row.account_id,
            state=State(row.state),
            due=self._instant(row.due_in),
            channel=row.channel and Channel(row.channel),
            attempt=row.attempt,
            reason=row.reason and Reason(row.reason),
            deaths=row.deaths,
            possibly_duplicated=row.possibly_duplicated,
        )

    def _sheet(self, row: Any) -> MessageRow:
        return MessageRow(
            key=row.idempotency_key,
            open_count=row.open_count,
            good_count=row.good_count,
            status=Status(row.status),
            is_sent=row.sent_at is not None,
            is_decided=row.decided_at is not None,
            has_vetting_id=row.vetting_id is not None,
            deaths=row.deaths,
            case=row.case_state and CaseState(row.case_state),
            expires=self._instant(row.expires_in),
        )

    def _instant(self, wait: timedelta | None) -> int | None:
        return None if wait is None else self._passed + ticks(wait)

    def _ids(self, recipients: Iterable[int]) -> list[int]:
        known = len(self._recipients)
        return [self._recipients[number] if number < known else _NOBODY for number in recipients]

    def _named(self, letter: ClaimedDelivery) -> Attempt:
        return replace(letter.attempted, recipient_id=self._numbers[letter.recipient_id])


def _worker_id(worker: int) -> UUID:
    """Make the id of a worker: its first half tells it from the others."""
    return UUID(int=(worker + 1) << 64)


def _whole(verdict: Outcome | Channel) -> Outcome | Channel:
    """Say in whole ticks how long a recipient is put off."""
    return verdict if isinstance(verdict, Channel) else replace(verdict, due_in=ticks(verdict.due_in) * TICK)
