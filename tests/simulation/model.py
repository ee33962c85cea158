"""The model: a store in memory, the transactions of `delivery/records` and of the steps written a second time.

The judgements are the rules themselves; what is read here for a second time is the SQL and what the steps do with it.
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
from delivery.rules.vetting import find_phrases
from delivery.rules.worker_deaths import DEATHS_LIMIT, JournalEntry, after_lease, blame
from delivery.settings import Settings
from delivery.vocabulary import CaseState, Channel, Reason, State, StepName
from tests.simulation.store import (
    CHOSEN,
    ClaimedRow,
    MessageRow,
    PendingBell,
    Policy,
    Question,
    StepRun,
    View,
    Wish,
    in_order,
    ticks,
)
from tests.simulation.tables import PARKED_TICKS, Tables
from tests.support import build

_REFUSALS = {CaseState.REJECTED: Reason.REFUSED_BY_STAFF, CaseState.EXPIRED: Reason.EXPIRED_IN_REVIEW}
_QUESTIONS: dict[Question, tuple[tuple[State, ...], Channel | None, Callable[[MessageRow], bool]]] = {
    Question.UNDECIDED: ((State.ACCEPTED,), None, lambda sheet: sheet.deaths == 0),
    Question.SUSPECT: ((State.ACCEPTED,), None, lambda sheet: sheet.deaths > 0),
    Question.UNOPENED: ((State.HELD,), None, lambda sheet: sheet.case is None),
    Question.EXPIRED: ((State.HELD,), None, lambda sheet: sheet.case is CaseState.OPEN),
    Question.LAPSED_INBOX: ((State.CLAIMED,), Channel.INBOX, bool),
    Question.LAPSED_EMAIL: ((State.CLAIMED,), Channel.EMAIL, bool),
    Question.WAITING_INBOX: (WAITING_STATES, Channel.INBOX, bool),
    Question.WAITING_EMAIL: (WAITING_STATES, Channel.EMAIL, bool),
    Question.SUSPECT_INBOX: (WAITING_STATES, Channel.INBOX, bool),
    Question.SUSPECT_EMAIL: (WAITING_STATES, Channel.EMAIL, bool),
}
"""Of each question: which states it looks for, on which channel or, without one, for which messages."""


@cache
def settings_of(policy: Policy) -> Settings:
    """Give the settings of a model, made once: reading settings takes as long as a whole run."""
    return build.settings(**CHOSEN, unknown_policy=policy)


class Model(Tables):
    """A store in memory."""

    def enroll(self, account_id: UUID, wish: Wish) -> None:
        """Create an account, or note what is wanted now."""
        self.preferences[account_id] = wish

    def register(self, worker: int) -> None:
        """Let a worker be known."""
        self.trying[worker], self.notes[worker] = set(), {}

    def let_pass(self, passed: int) -> None:
        """Let so many ticks go by."""
        self.now += passed

    def accept(self, arrivals: Sequence[IncomingMessage]) -> dict[UUID, Acceptance]:
        """Take these in. Repetitions are seen before strangers; of two with one key the first in order is taken."""
        before = dict(self.arrivals)
        in_turn = sorted(arrivals, key=lambda each: (each.idempotency_key or "~", each.message_id))
        return {arrival.message_id: self.take_in(arrival, before) for arrival in in_turn}

    def decide(self, message_ids: Sequence[UUID]) -> None:
        """Place the recipients of these messages."""
        for message_id in self.known(message_ids):
            sheet = self.sheets[message_id]
            if sheet.is_decided or sheet.deaths >= DEATHS_LIMIT:
                continue
            body = self.arrivals[message_id].draft.body
            hold = bool(find_phrases({"body": body}, self.settings.phrases))
            placed = self.place(message_id, State.ACCEPTED, hold=hold)
            is_held = any(move.after is State.HELD for move in placed)
            self.write(message_id, is_decided=True, has_vetting_id=is_held)
            if is_held:
                self.bells.append(PendingBell(StepName.VET, message_id))

    def vet(self, message_ids: Sequence[UUID]) -> None:
        """Open the cases of these messages."""
        expires = self.now + ticks(timedelta(days=self.settings.hold_days))
        for message_id in self.known(message_ids):
            sheet, held = self.sheets[message_id], self.in_state(message_id, State.HELD)
            if held and sheet.has_vetting_id and sheet.case is None and sheet.deaths < DEATHS_LIMIT:
                self.write(message_id, case=CaseState.OPEN, expires=expires)
                self.change(held, due=expires)

    def close_case(self, message_id: UUID, state: CaseState) -> bool:
        """Decide the case of this message; answer whether there was one that was open."""
        sheet = self.sheets.get(message_id)
        if sheet is None or sheet.case is not CaseState.OPEN:
            return False
        self.write(message_id, case=state)
        if state is CaseState.APPROVED:
            self.place(message_id, State.HELD, hold=False)
        else:
            self.move(refuse(self.candidates(message_id, State.HELD), _REFUSALS[state]))
        return True

    def expire_reviews(self, message_ids: Sequence[UUID]) -> None:
        """Close the cases of these messages whose time is over."""
        for message_id in self.known(message_ids):
            expires = self.sheets[message_id].expires
            if expires is not None and expires <= self.now:
                self.close_case(message_id, CaseState.EXPIRED)

    def claim(self, run: StepRun, recipients: Sequence[int], *, is_isolated: bool) -> list[ClaimedRow]:
        """Claim those of these recipients that may be tried now, beside others or alone; ask their preferences."""
        fit = [number for number in sorted(set(recipients)) if is_isolated or not self.is_suspect(number)]
        claimed = [number for number in fit if self.is_claimable(number, run)]
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
        return [self.judge(number) for number in claimed]

    def note(self, worker: int, attempt: Attempt, code: int | None) -> None:
        """Note in the worker's journal that the final dot is near (no code), or how it was answered."""
        self.notes[worker][attempt.recipient_id, attempt.number] = JournalEntry(code)

    def record(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Record how an attempt ended; answer whether its writer was still entitled to."""
        return bool(self.move([self.conclude(attempt, outcome, self.settings.send_deadline)]))

    def expire_leases(self, recipients: Sequence[int], machine: int) -> None:
        """End those attempts at these recipients whose lease ran out, as far as this machine knows."""
        for number in recipients:
            row = self.rows.get(number)
            if row is not None and row.state is State.CLAIMED and self.is_due(row):
                attempt = self.attempt(number)
                outcome = after_lease(attempt, self.traces(self.tokens[number].worker, machine))
                self.move([self.conclude(attempt, outcome, timedelta())])

    def recover_worker(self, worker: int, machine: int) -> None:
        """End what this worker had under way, as far as this machine knows."""
        traces = self.traces(worker, machine)
        held = [number for number in sorted(self.tokens) if self.tokens[number].worker == worker]
        under_way = [number for number in held if self.rows[number].state is State.CLAIMED]
        accused = blame([(self.attempt(number), self.rows[number].deaths) for number in under_way])
        for number in under_way:
            self.end_of_the_dead(self.attempt(number), traces, is_accused=number in accused)
        for message_id in self.trying[worker]:
            self.count_death(message_id)
        self.trying[worker] = set()

    def begin_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Note that the sweep of this worker works on these."""
        self.trying[worker] |= set(message_ids)

    def end_trying(self, worker: int, message_ids: Sequence[UUID]) -> None:
        """Note that it survived."""
        self.trying[worker] -= set(message_ids)

    def postpone_messages(self, message_ids: Sequence[UUID]) -> None:
        """Keep the sweep from these: a step broke on them."""
        members = [number for message_id in self.known(message_ids) for number in self.members[message_id]]
        self.set_aside(members, (State.ACCEPTED, State.HELD))

    def postpone_recipients(self, recipients: Sequence[int]) -> None:
        """Keep the sweep from these: a step broke on them."""
        self.set_aside(recipients, (*WAITING_STATES, State.CLAIMED))

    def release(self, message_id: UUID) -> int:
        """Let what is parked of this message be tried again; answer how many recipients that are."""
        self.write(message_id, deaths=0)
        parked = [
            each for each in self.members[message_id] if (self.rows[each].due or 0) > self.now + PARKED_TICKS // 2
        ]
        self.change(parked, due=self.now, deaths=0, reason=None)
        return len(parked)

    def due(self, question: Question) -> list[UUID] | list[int]:
        """Answer a question of the sweep, in order."""
        due = [(number, row) for number, row in self.rows.items() if row.due is not None and row.due <= self.now]
        states, channel, is_asked = _QUESTIONS[question]
        if channel is None:
            found = {row.message_id for _, row in due if row.state in states}
            return sorted(each for each in found if is_asked(self.sheets[each]))
        fit = sorted(number for number, row in due if row.state in states and row.channel is channel)
        if question in Question.of_leases():
            return fit
        return [number for number in fit if self.is_suspect(number) is (question in Question.of_suspects())]

    def rung(self) -> list[PendingBell]:
        """Give the bells that were rung since this was last asked, in the order of their words."""
        rung, self.bells = self.bells, []
        return in_order(rung)

    def look(self) -> View:
        """Show all that is stored."""
        return View(dict(self.rows), dict(self.sheets), dict(self.letters))
