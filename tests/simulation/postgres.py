"""The other store: PostgreSQL with the real records and steps of Postroom, behind the same protocol."""

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
from delivery.records.database import Database, transaction
from delivery.records.identities import accounts, clients
from delivery.records.identities.accounts import AccountFacts
from delivery.records.pipeline import accept, claims, due, transitions
from delivery.records.pipeline.accept import Acceptance, IncomingMessage
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerIdentity
from delivery.rules.case_decisions import CaseDecision, CaseNotOpen, CaseVerdict
from delivery.rules.outcomes import Attempt, Outcome, next_transition
from delivery.settings import Settings
from delivery.vocabulary import AccountStatus, CaseState, Channel, Reason, Scope, State, Status
from tasks.context import StepContext, apply_unknown_policy
from tasks.steps.decide import decide
from tasks.steps.deliver import check_preferences
from tasks.steps.expire_leases import expire_leases
from tasks.steps.recover_worker import recover_worker
from tasks.steps.release import release
from tasks.steps.review import decide_case, expire_reviews
from tasks.steps.vet import vet
from tests.simulation.statements import ADVANCE_CLOCK, EMPTY, LETTERS, MESSAGES, NEW_RECIPIENTS, ROUND_TO_TICKS, ROWS
from tests.simulation.store import (
    MACHINES,
    TICK,
    ClaimedRow,
    DueQuery,
    MessageRow,
    PendingBell,
    Row,
    SimulatedAccount,
    StepRun,
    View,
    sort_bells,
    ticks,
)
from tests.support import build
from tests.support.step_driver import RecordingDoorbell

_HOUR = timedelta(hours=1)
_VERDICTS = {
    CaseState.APPROVED: CaseVerdict.APPROVE,
    CaseState.REJECTED: CaseVerdict.REJECT,
    CaseState.EXPIRED: CaseVerdict.EXPIRE,
}
_LIMIT = 500
# No recipient has it.
_NO_RECIPIENT = 2**62
_FINDERS: dict[DueQuery, Callable[..., Sequence[UUID] | Sequence[int]]] = {
    DueQuery.UNDECIDED: due.undecided,
    DueQuery.SUSPECT: partial(due.undecided, is_suspect=True),
    DueQuery.UNOPENED: due.unopened,
    DueQuery.EXPIRED_REVIEWS: due.expired,
    DueQuery.EXPIRED_LEASES_INBOX: partial(due.expired_leases, channel=Channel.INBOX),
    DueQuery.EXPIRED_LEASES_EMAIL: partial(due.expired_leases, channel=Channel.EMAIL),
    DueQuery.WAITING_INBOX: partial(due.waiting, channel=Channel.INBOX),
    DueQuery.WAITING_EMAIL: partial(due.waiting, channel=Channel.EMAIL),
    DueQuery.SUSPECT_INBOX: partial(due.waiting, channel=Channel.INBOX, is_suspect=True),
    DueQuery.SUSPECT_EMAIL: partial(due.waiting, channel=Channel.EMAIL, is_suspect=True),
}


class Postgres:
    """A store in a real database, emptied for it. Worker and recipient numbers are translated here."""

    def __init__(self, database: Database, settings: Settings, folder: Path) -> None:
        self._database = database
        self._bells = RecordingDoorbell()
        self._contexts = [self._open_context(settings, folder / str(machine)) for machine in range(MACHINES)]
        self._settings = settings
        self._recipients: list[int] = []
        self._numbers: dict[int, int] = {}
        self._journals: dict[int, FileJournal] = {}
        self._tokens: dict[StepRun, UUID] = {}
        self._passed = 0
        self._rounded_at = monotonic()
        with transaction(database) as db:
            db.execute(EMPTY)
            clients.put(db, build.CLIENT_ID, "a client", scopes=tuple(Scope))

    def _open_context(self, settings: Settings, folder: Path) -> StepContext:
        there = settings.model_copy(update={"journal_folder": str(folder)})
        return StepContext(there, self._database, self._bells, jitter=lambda: 0.0)

    @property
    def _context(self) -> StepContext:
        return self._contexts[0]

    def close(self) -> None:
        """Close the journals."""
        for each in self._journals.values():
            each.close()

    def put_account(self, account_id: UUID, account: SimulatedAccount) -> None:
        """Create an account, or replace its preferences and status."""
        now = datetime.now(UTC)
        facts = AccountFacts(
            account_id,
            "Ada",
            f"{account_id.hex}@example.com",
            status=AccountStatus.SUSPENDED if account.is_suspended else AccountStatus.ACTIVE,
            channel=account.channel,
            is_closed=account.is_closed,
            quiet_hours=((now - _HOUR).time(), (now + 2 * _HOUR).time()) if account.is_asleep else None,
        )
        with transaction(self._database) as db:
            accounts.put(db, [facts])

    def register(self, worker: int) -> None:
        """Register a worker. Its journal lies on the machine `worker % MACHINES`."""
        identity = WorkerIdentity(_worker_id(worker), "here", worker, ("decide",))
        folder = Path(self._contexts[worker % MACHINES].settings.journal_folder)
        self._journals[worker] = FileJournal(folder, identity.worker_id)
        with transaction(self._database) as db:
            registry.heartbeat(db, identity)

    def advance_clock(self, passed: int) -> None:
        """Let this many ticks pass."""
        self._passed += passed
        with transaction(self._database) as db:
            db.execute(ADVANCE_CLOCK, {"passed": passed * TICK})

    def accept(self, incoming: Sequence[IncomingMessage]) -> dict[UUID, Acceptance]:
        """Accept these messages in one transaction."""
        with transaction(self._database) as db:
            answers = accept.accept(db, incoming, grace=self._settings.grace)
            stored = [each for each, answer in answers.items() if isinstance(answer, accept.Stored)]
            for recipient_id in db.scalars(NEW_RECIPIENTS, {"message_ids": stored}):
                self._numbers[recipient_id] = len(self._recipients)
                self._recipients.append(recipient_id)
        return answers

    def decide(self, message_ids: Sequence[UUID]) -> None:
        """Decide the recipients of these messages."""
        decide(self._context, message_ids)

    def vet(self, message_ids: Sequence[UUID]) -> None:
        """Open the cases of these messages."""
        vet(self._context, message_ids)

    def close_case(self, message_id: UUID, state: CaseState) -> bool:
        """Close the case of this message. Returns whether it had an open one."""
        with transaction(self._database) as db:
            found = text("SELECT vetting_id FROM message WHERE id = :message_id")
            vetting_id = db.scalar(found, {"message_id": message_id})
        try:
            decide_case(self._context, vetting_id or message_id, CaseDecision(_VERDICTS[state], build.STAFF))
        except CaseNotOpen:
            return False
        return True

    def expire_reviews(self, message_ids: Sequence[UUID]) -> None:
        """Close those cases of these messages that have expired."""
        expire_reviews(self._context, message_ids)

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool) -> list[ClaimedRow]:
        """Claim those of these recipients that may be tried now, shared or isolated, and check their preferences."""
        token, lease = self._tokens.setdefault(run, claims.make_token(_worker_id(run.worker))), self._settings.lease
        with transaction(self._database) as db:
            deliveries = claims.claim(db, self._ids(recipients), token=token, lease=lease, is_isolated=is_isolated)
        claimed = [ClaimedRow(self._numbered(each), _in_whole_ticks(check_preferences(each))) for each in deliveries]
        return sorted(claimed, key=lambda each: each.attempt.recipient_id)

    def write_journal(self, worker: int, attempt: Attempt, code: int | None) -> None:
        """Record in the worker's journal that the end of the data is next (no code), or the reply code to it."""
        journal, entry = self._journals[worker], (self._recipients[attempt.recipient_id], attempt.number)
        if code is None:
            journal.record_data_end(entry)
        else:
            journal.record_reply(entry, code)

    def record(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Record how an attempt ended. Returns whether the fence let it."""
        real = replace(attempt, recipient_id=self._recipients[attempt.recipient_id])
        ended = apply_unknown_policy(outcome, self._settings)
        with transaction(self._database) as db:
            return bool(
                transitions.apply_transitions(
                    db, [next_transition(real, ended, 0.0, patience=self._settings.send_deadline)]
                )
            )

    def expire_leases(self, recipients: Sequence[int], machine: int) -> None:
        """End those attempts at these recipients whose lease expired, by the journals of this machine."""
        expire_leases(self._contexts[machine], self._ids(recipients))

    def recover_worker(self, worker: int, machine: int) -> None:
        """End the attempts that this worker had under way, by the journals of this machine."""
        recover_worker(self._contexts[machine], _worker_id(worker))

    def begin_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Record that the sweep of this worker tries these messages."""
        with transaction(self._database) as db:
            deaths.begin_trying(db, _worker_id(worker), message_ids)

    def end_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Record that the worker did not crash on these messages."""
        with transaction(self._database) as db:
            deaths.end_trying(db, _worker_id(worker), message_ids)

    def postpone_messages(self, message_ids: Sequence[UUID]) -> None:
        """Postpone these messages, on which a step failed."""
        with transaction(self._database) as db:
            due.postpone_messages(db, message_ids, timedelta(seconds=self._settings.step_pause_s))

    def postpone_recipients(self, recipients: Sequence[int]) -> None:
        """Postpone these recipients, on which a step failed."""
        with transaction(self._database) as db:
            due.postpone_recipients(db, self._ids(recipients), timedelta(seconds=self._settings.step_pause_s))

    def release(self, message_id: UUID) -> int:
        """Make the parked recipients of this message due again. Returns how many they are."""
        return release(self._context, message_id)

    def due(self, query: DueQuery) -> list[UUID] | list[int]:
        """Return the ids that a query of the sweep finds, sorted."""
        with transaction(self._database) as db:
            found = _FINDERS[query](db, limit=_LIMIT)
        return sorted(self._numbers.get(each, each) if isinstance(each, int) else each for each in found)  # type: ignore[return-value] # one kind of id per query

    def take_bells(self) -> list[PendingBell]:
        """Return the bells that were rung since the last call, sorted."""
        rung = [PendingBell(bell.step, self._numbers.get(each, each)) for bell in self._bells.rung for each in bell.ids]  # type: ignore[arg-type] # UUIDs stay as they are
        self._bells.rung.clear()
        return sort_bells(rung)

    def read_view(self) -> View:
        """Return everything that is stored."""
        with transaction(self._database) as db:
            self._round_waits(db)
            rows = {self._numbers[row.id]: self._row(row) for row in db.execute(ROWS)}
            messages = {row.id: self._message(row) for row in db.execute(MESSAGES)}
            letters = {self._numbers[row.recipient_id]: row.letters for row in db.execute(LETTERS)}
        return View(rows, messages, letters)

    def _round_waits(self, db: Connection) -> None:
        """Round waits up to whole ticks, at most once a second, so that the wall clock never gains a tick."""
        if monotonic() - self._rounded_at > 1:
            self._rounded_at = monotonic()
            db.execute(ROUND_TO_TICKS, {"tick": TICK, "tick_s": TICK.seconds})

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

    def _message(self, row: Any) -> MessageRow:
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
        return [self._recipients[number] if number < known else _NO_RECIPIENT for number in recipients]

    def _numbered(self, delivery: ClaimedDelivery) -> Attempt:
        return replace(delivery.as_attempt, recipient_id=self._numbers[delivery.recipient_id])


def _worker_id(worker: int) -> UUID:
    """Return the id of a worker, unique in its first half, which claim tokens copy."""
    return UUID(int=(worker + 1) << 64)


def _in_whole_ticks(verdict: Outcome | Channel) -> Outcome | Channel:
    """Round the wait of an outcome up to whole ticks."""
    return verdict if isinstance(verdict, Channel) else replace(verdict, due_in=ticks(verdict.due_in) * TICK)
