"""What the model keeps, and how a row of it changes: a second reading of `records/pipeline/transitions.py`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import time, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from delivery.records.pipeline.accept import Acceptance, Duplicate, IncomingMessage, Stored, UnknownRecipients
from delivery.rules.outcomes import Attempt, Outcome, next_transition, resolve_without_network
from delivery.rules.preferences import DeliveryPreferences, SenderContext, choose_channel
from delivery.rules.quiet_hours import QuietHours
from delivery.rules.retry import PARKED
from delivery.rules.states import STATE_CLASSES, StateClass
from delivery.rules.status import RecipientStatus, reduce_status
from delivery.rules.transitions import PendingRecipient, Transition, decide_recipient
from delivery.rules.worker_deaths import DEATHS_LIMIT, SUSPECT_FROM, JournalEntry, after_death
from delivery.settings import Settings
from delivery.vocabulary import AccountStatus, CaseState, Channel, MessageType, Reason, State, StepName
from tasks.context import apply_unknown_policy
from tests.simulation.store import MACHINES, ClaimedRow, MessageRow, PendingBell, Row, StepRun, Wish, ticks
from tests.support import build

PARKED_TICKS = ticks(PARKED)
_UNTIL_TWO = QuietHours(time(11), time(14))
_SENDER = SenderContext(MessageType.OTHER, build.CLIENT_ID)


@cache
def preference_of(wish: Wish) -> DeliveryPreferences:
    """Say in the words of the rules what is wanted. The model's clock always shows noon."""
    return DeliveryPreferences(
        account_status=AccountStatus.SUSPENDED if wish.is_suspended else AccountStatus.ACTIVE,
        channel=wish.channel,
        is_closed=wish.is_closed,
        quiet_hours=_UNTIL_TWO if wish.is_asleep else None,
    )


class Tables:
    """The rows, and everything that is done to them inside a transaction."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = 0
        self.rows: dict[int, Row] = {}
        self.sheets: dict[UUID, MessageRow] = {}
        self.letters: Counter[int] = Counter()
        self.tokens: dict[int, StepRun] = {}
        self.arrivals: dict[UUID, IncomingMessage] = {}
        self.members: dict[UUID, list[int]] = {}
        self.preferences: dict[UUID, Wish] = {}
        self.trying: dict[int, set[UUID]] = {}
        self.notes: dict[int, dict[tuple[int, int], JournalEntry]] = {}
        self.bells: list[PendingBell] = []

    def take_in(self, arrival: IncomingMessage, before: Mapping[UUID, IncomingMessage]) -> Acceptance:
        """Store one arrival or say why not. `before` is what was there before its transaction."""
        strangers = {each for each in arrival.draft.recipient_ids if self.preferences[each].is_suspended}
        earlier = _earlier(arrival, before)
        if earlier is None and strangers:
            return UnknownRecipients(frozenset(strangers))
        earlier = earlier or _earlier(arrival, self.arrivals)
        if earlier is not None:
            return earlier
        self._store(arrival)
        return Stored()

    def _store(self, arrival: IncomingMessage) -> None:
        message_id, account_ids = arrival.message_id, arrival.draft.recipient_ids
        due = self.now + ticks(self.settings.grace)
        self.arrivals[message_id] = arrival
        self.members[message_id] = list(range(len(self.rows), len(self.rows) + len(account_ids)))
        self.sheets[message_id] = MessageRow(arrival.idempotency_key, len(account_ids))
        for number, account_id in zip(self.members[message_id], account_ids, strict=True):
            self.rows[number] = Row(message_id, account_id, State.ACCEPTED, due)

    def known(self, message_ids: Iterable[UUID]) -> list[UUID]:
        """Give those of these messages that there are, in the order in which they are locked."""
        return sorted(set(message_ids) & self.sheets.keys())

    def write(self, message_id: UUID, **changes: Any) -> None:
        """Change a message."""
        self.sheets[message_id] = replace(self.sheets[message_id], **changes)

    def change(self, numbers: Iterable[int], **changes: Any) -> None:
        """Change recipients in what is not their state."""
        for number in numbers:
            self.rows[number] = replace(self.rows[number], **changes)

    def in_state(self, message_id: UUID, state: State) -> list[int]:
        """Give the recipients of this message that are in this state."""
        return [number for number in self.members[message_id] if self.rows[number].state is state]

    def candidates(self, message_id: UUID, state: State) -> list[PendingRecipient]:
        """Give the recipients of this message that are in this state, each with what it wants."""
        return [
            PendingRecipient(
                recipient_id=number,
                message_id=message_id,
                state=state,
                attempt=self.rows[number].attempt,
                sender=_SENDER,
                preference=preference_of(self.preferences[self.rows[number].account_id]),
                read_at=build.NOON,
            )
            for number in self.in_state(message_id, state)
        ]

    def place(self, message_id: UUID, state: State, *, hold: bool) -> list[Transition]:
        """Place the recipients of this message that are in this state, and ring for those that are queued."""
        grace = self.settings.grace
        placed = [decide_recipient(each, hold=hold, grace=grace) for each in self.candidates(message_id, state)]
        self.move(placed)
        queued = [move for move in placed if move.after is State.QUEUED and move.channel is Channel.EMAIL]
        self.bells += [PendingBell(StepName.DELIVER, move.recipient_id) for move in queued]
        return placed

    def move(self, moves: Sequence[Transition]) -> list[int]:
        """Make those of these moves whose recipient still is where they start; answer which."""
        return [move.recipient_id for move in moves if self.is_entitled(move) and self._make(move)]

    def is_entitled(self, move: Transition) -> bool:
        """Say whether the recipient is still where this move starts: the fence."""
        row = self.rows[move.recipient_id]
        return row.state is move.before and row.attempt == move.attempt

    def _make(self, move: Transition) -> bool:
        row = self.rows[move.recipient_id]
        self.rows[move.recipient_id] = row = replace(
            row,
            state=move.after,
            channel=move.channel or row.channel,
            reason=move.reason,
            due=None if move.due_in is None else self.now + ticks(move.due_in),
        )
        self.count(move)
        if row.state is State.DELIVERED and row.channel is Channel.INBOX:
            self.letters[move.recipient_id] += 1
        return True

    def count(self, move: Transition) -> None:
        """Keep the counters and the status of the message."""
        sheet = self.sheets[move.message_id]
        rows = [self.rows[number] for number in self.members[move.message_id]]
        good = sheet.good_count + _gain(move, StateClass.GOOD)
        verdict = reduce_status([RecipientStatus(row.account_id, row.state, row.reason) for row in rows])
        self.write(
            move.message_id,
            open_count=sheet.open_count + _gain(move, StateClass.OPEN),
            good_count=good,
            status=verdict.status,
            is_sent=good > 0,
        )

    def is_claimable(self, number: int, run: StepRun) -> bool:
        """Say whether this run may try this recipient now."""
        row = self.rows.get(number)
        if row is None:
            return False
        if row.state in {State.RETRYING, State.UNKNOWN}:
            return self.is_due(row)
        return row.state is State.QUEUED or (row.state is State.CLAIMED and self.tokens[number] == run)

    def is_suspect(self, number: int) -> bool:
        """Say whether this recipient is tried alone."""
        return number in self.rows and self.rows[number].deaths >= SUSPECT_FROM

    def is_due(self, row: Row) -> bool:
        """Say whether the time of this row has come."""
        return row.due is not None and row.due <= self.now

    def attempt(self, number: int) -> Attempt:
        """Give the attempt at a claimed recipient that is under way."""
        row = self.rows[number]
        assert row.channel is not None
        return Attempt(number, row.message_id, row.attempt, row.channel)

    def judge(self, number: int) -> ClaimedRow:
        """Ask the preferences of this very moment."""
        attempt = self.attempt(number)
        preference = preference_of(self.preferences[self.rows[number].account_id])
        return ClaimedRow(
            attempt, resolve_without_network(choose_channel(_SENDER, preference, now=build.NOON), attempt.channel)
        )

    def conclude(self, attempt: Attempt, outcome: Outcome, patience: timedelta) -> Transition:
        """Say what follows this outcome under these settings, without chance."""
        return next_transition(attempt, apply_unknown_policy(outcome, self.settings), 0.0, patience=patience)

    def traces(self, worker: int, machine: int) -> Mapping[tuple[int, int], JournalEntry] | None:
        """Read the journal of this worker, on this machine."""
        return self.notes[worker] if worker % MACHINES == machine else None

    def end_of_the_dead(
        self, attempt: Attempt, traces: Mapping[tuple[int, int], JournalEntry] | None, *, is_accused: bool
    ) -> None:
        """End an attempt whose worker is dead, and ring for a recipient that may be tried again at once."""
        deaths = self.rows[attempt.recipient_id].deaths + is_accused
        move = self.conclude(attempt, after_death(attempt, traces, deaths=deaths), self.settings.send_deadline)
        self.move([move])
        self.change([attempt.recipient_id], deaths=deaths)
        if move.after is State.RETRYING and not move.due_in:
            self.bells.append(PendingBell(StepName.DELIVER, attempt.recipient_id))

    def count_death(self, message_id: UUID) -> None:
        """Count a death against a message that was being decided, or whose case was being opened or expired."""
        sheet = self.sheets[message_id]
        if sheet.is_decided and not self._is_case_to_do(sheet):
            return
        self.write(message_id, deaths=sheet.deaths + 1)
        if sheet.deaths + 1 >= DEATHS_LIMIT:
            waiting = self.in_state(message_id, State.ACCEPTED) + self.in_state(message_id, State.HELD)
            self.change(waiting, due=self.now + PARKED_TICKS, reason=Reason.POISONED)

    def _is_case_to_do(self, sheet: MessageRow) -> bool:
        is_overdue = sheet.case is CaseState.OPEN and sheet.expires is not None and sheet.expires <= self.now
        return sheet.has_vetting_id and (sheet.case is None or is_overdue)

    def set_aside(self, numbers: Iterable[int], states: Sequence[State]) -> None:
        """Keep the sweep from those of these recipients that are in these states."""
        pause = self.now + ticks(timedelta(seconds=self.settings.step_pause_s))
        for number in numbers:
            row = self.rows.get(number)
            if row is not None and row.state in states and row.due is not None:
                self.change([number], due=max(row.due, pause), reason=Reason.STEP_FAILED)


def _earlier(arrival: IncomingMessage, known: Mapping[UUID, IncomingMessage]) -> Duplicate | None:
    """Find the message that stands for the same key or the same id."""
    for message_id, each in known.items():
        is_same_key = arrival.idempotency_key is not None and arrival.idempotency_key == each.idempotency_key
        if is_same_key or message_id == arrival.message_id:
            digest = each.content_hash
            return Duplicate(message_id, digest is not None and digest == arrival.content_hash)
    return None


def _gain(move: Transition, weight: StateClass) -> int:
    return (STATE_CLASSES[move.after] is weight) - (STATE_CLASSES[move.before] is weight)
