"""The model: a store in memory that repeats the transactions of `delivery/records` and of the steps.

It calls the real rules; only the SQL and what the steps do around it are written a second time.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from uuid import UUID

from delivery.records.pipeline.accept import Acceptance, IncomingMessage
from delivery.rules.outcomes import Attempt, Outcome
from delivery.rules.states import WAITING_STATES
from delivery.rules.transitions import refuse
from delivery.rules.vetting import find_reasons
from delivery.rules.worker_deaths import DEATHS_LIMIT, JournalEntry, after_lease, blame
from delivery.settings import Settings
from delivery.vocabulary import CaseState, Channel, Reason, RuleVerdict, State, StepName
from tests.simulation.store import (
    CHOSEN,
    ClaimedRow,
    DueQuery,
    MessageRow,
    PendingBell,
    Policy,
    SimulatedAccount,
    StepRun,
    View,
    sort_bells,
    ticks,
)
from tests.simulation.tables import PARKED_TICKS, Tables
from tests.support import build

_REFUSALS = {CaseState.REJECTED: Reason.REFUSED_BY_STAFF, CaseState.EXPIRED: Reason.EXPIRED_IN_REVIEW}
_QUERIES: dict[DueQuery, tuple[tuple[State, ...], Channel | None, Callable[[MessageRow], bool]]] = {
    DueQuery.UNDECIDED: ((State.ACCEPTED,), None, lambda message: message.deaths == 0),
    DueQuery.SUSPECT: ((State.ACCEPTED,), None, lambda message: message.deaths > 0),
    DueQuery.UNOPENED: ((State.HELD,), None, lambda message: message.case is None),
    DueQuery.EXPIRED_REVIEWS: ((State.HELD,), None, lambda message: message.case is CaseState.OPEN),
    DueQuery.EXPIRED_LEASES_INBOX: ((State.CLAIMED,), Channel.INBOX, bool),
    DueQuery.EXPIRED_LEASES_EMAIL: ((State.CLAIMED,), Channel.EMAIL, bool),
    DueQuery.WAITING_INBOX: (WAITING_STATES, Channel.INBOX, bool),
    DueQuery.WAITING_EMAIL: (WAITING_STATES, Channel.EMAIL, bool),
    DueQuery.SUSPECT_INBOX: (WAITING_STATES, Channel.INBOX, bool),
    DueQuery.SUSPECT_EMAIL: (WAITING_STATES, Channel.EMAIL, bool),
}
"""For each query: the states that it finds, and the channel or, without one, a condition on the message."""


@cache
def settings_of(policy: Policy) -> Settings:
    """Return the settings of a model. They are cached, because reading settings takes as long as a whole run."""
    return build.settings(**CHOSEN, unknown_policy=policy)


class Model(Tables):
    """A store in memory."""

    def put_account(self, account_id: UUID, account: SimulatedAccount) -> None:
        """Create an account, or replace its preferences and status."""
        self.accounts[account_id] = account

    def register(self, worker: int) -> None:
        """Register a worker."""
        self.trying[worker], self.journals[worker] = set(), {}

    def advance_clock(self, passed: int) -> None:
        """Let this many ticks pass."""
        self.now += passed

    def accept(self, incoming: Sequence[IncomingMessage]) -> dict[UUID, Acceptance]:
        """Accept these messages. Duplicates are found before unknown recipients; of two with one key the first wins."""
        before = dict(self.incoming)
        ordered = sorted(incoming, key=lambda each: (each.idempotency_key or "~", each.message_id))
        return {message.message_id: self.accept_one(message, before) for message in ordered}

    def decide(self, message_ids: Sequence[UUID]) -> None:
        """Decide the recipients of these messages."""
        for message_id in self.existing(message_ids):
            message = self.messages[message_id]
            if message.is_decided or message.deaths >= DEATHS_LIMIT:
                continue
            body = self.incoming[message_id].draft.body
            hold = bool(find_reasons({"body": body}, self.settings.hold_rule))
            decided = self.decide_recipients(
                message_id, State.ACCEPTED, verdict=RuleVerdict.HOLD if hold else RuleVerdict.PASS
            )
            is_held = any(transition.after is State.HELD for transition in decided)
            self.update_message(message_id, is_decided=True, has_vetting_id=is_held)
            if is_held:
                self.bells.append(PendingBell(StepName.VET, message_id))

    def vet(self, message_ids: Sequence[UUID]) -> None:
        """Open the cases of these messages."""
        expires = self.now + ticks(timedelta(days=self.settings.hold_days))
        for message_id in self.existing(message_ids):
            message, held = self.messages[message_id], self.in_state(message_id, State.HELD)
            if held and message.has_vetting_id and message.case is None and message.deaths < DEATHS_LIMIT:
                self.update_message(message_id, case=CaseState.OPEN, expires=expires)
                self.update_recipients(held, due=expires)

    def close_case(self, message_id: UUID, state: CaseState) -> bool:
        """Close the case of this message. Returns whether it had an open one."""
        message = self.messages.get(message_id)
        if message is None or message.case is not CaseState.OPEN:
            return False
        self.update_message(message_id, case=state)
        if state is CaseState.APPROVED:
            self.decide_recipients(message_id, State.HELD, verdict=RuleVerdict.PASS)
        else:
            self.apply_transitions(refuse(self.pending_recipients(message_id, State.HELD), _REFUSALS[state]))
        return True

    def expire_reviews(self, message_ids: Sequence[UUID]) -> None:
        """Close those cases of these messages that have expired."""
        for message_id in self.existing(message_ids):
            expires = self.messages[message_id].expires
            if expires is not None and expires <= self.now:
                self.close_case(message_id, CaseState.EXPIRED)

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool) -> list[ClaimedRow]:
        """Claim those of these recipients that may be tried now, shared or isolated, and check their preferences."""
        candidates = [number for number in sorted(set(recipients)) if is_isolated or not self.is_suspect(number)]
        claimed = [number for number in candidates if self.is_claimable(number, run)]
        for number in claimed:
            row = self.rows[number]
            self.rows[number] = replace(
                row,
                state=State.CLAIMED,
                attempt=row.attempt + (row.state is not State.CLAIMED),
                possibly_duplicated=row.possibly_duplicated or row.state is State.UNKNOWN,
                due=self.now + ticks(self.settings.lease),
            )
            self.tokens[number] = run
        return [self.check_preferences(number) for number in claimed]

    def write_journal(self, worker: int, attempt: Attempt, code: int | None) -> None:
        """Record in the worker's journal that the end of the data is next (no code), or the reply code to it."""
        self.journals[worker][attempt.recipient_id, attempt.number] = JournalEntry(code)

    def record(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Record how an attempt ended. Returns whether the fence let it."""
        return bool(self.apply_transitions([self.transition_after(attempt, outcome, self.settings.send_deadline)]))

    def expire_leases(self, recipients: Sequence[int], machine: int) -> None:
        """End those attempts at these recipients whose lease expired, by the journals of this machine."""
        for number in recipients:
            row = self.rows.get(number)
            if row is not None and row.state is State.CLAIMED and self.is_due(row):
                attempt = self.attempt(number)
                outcome = after_lease(attempt, self.journal_of(self.tokens[number].worker, machine))
                self.apply_transitions([self.transition_after(attempt, outcome, timedelta())])

    def recover_worker(self, worker: int, machine: int) -> None:
        """End the attempts that this worker had under way, by the journals of this machine."""
        entries = self.journal_of(worker, machine)
        held = [number for number in sorted(self.tokens) if self.tokens[number].worker == worker]
        under_way = [number for number in held if self.rows[number].state is State.CLAIMED]
        blamed = blame([(self.attempt(number), self.rows[number].deaths) for number in under_way])
        for number in under_way:
            self.end_interrupted_attempt(self.attempt(number), entries, is_blamed=number in blamed)
        for message_id in self.trying[worker]:
            self.count_death(message_id)
        self.trying[worker] = set()

    def begin_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Record that the sweep of this worker tries these messages."""
        self.trying[worker] |= set(message_ids)

    def end_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Record that the worker did not crash on these messages."""
        self.trying[worker] -= set(message_ids)

    def postpone_messages(self, message_ids: Sequence[UUID]) -> None:
        """Postpone these messages, on which a step failed."""
        recipients = [number for message_id in self.existing(message_ids) for number in self.recipients_of[message_id]]
        self.postpone(recipients, (State.ACCEPTED, State.HELD))

    def postpone_recipients(self, recipients: Sequence[int]) -> None:
        """Postpone these recipients, on which a step failed."""
        self.postpone(recipients, (*WAITING_STATES, State.CLAIMED))

    def release(self, message_id: UUID) -> int:
        """Make the parked recipients of this message due again. Returns how many they are."""
        self.update_message(message_id, deaths=0)
        parked = [
            each for each in self.recipients_of[message_id] if (self.rows[each].due or 0) > self.now + PARKED_TICKS // 2
        ]
        self.update_recipients(parked, due=self.now, deaths=0, reason=None)
        return len(parked)

    def due(self, query: DueQuery) -> list[UUID] | list[int]:
        """Return the ids that a query of the sweep finds, sorted."""
        due = [(number, row) for number, row in self.rows.items() if row.due is not None and row.due <= self.now]
        states, channel, is_wanted = _QUERIES[query]
        if channel is None:
            found = {row.message_id for _, row in due if row.state in states}
            return sorted(each for each in found if is_wanted(self.messages[each]))
        fit = sorted(number for number, row in due if row.state in states and row.channel is channel)
        if query in DueQuery.of_leases():
            return fit
        return [number for number in fit if self.is_suspect(number) is (query in DueQuery.of_suspects())]

    def take_bells(self) -> list[PendingBell]:
        """Return the bells that were rung since the last call, sorted."""
        rung, self.bells = self.bells, []
        return sort_bells(rung)

    def read_view(self) -> View:
        """Return everything that is stored."""
        return View(dict(self.rows), dict(self.messages), dict(self.letters))
