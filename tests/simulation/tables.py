"""The rows of the model and how they change, written a second time after `records/pipeline/transitions.py`."""

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
from delivery.vocabulary import AccountStatus, CaseState, Channel, MessageType, Reason, RuleVerdict, State, StepName
from tasks.context import apply_unknown_policy
from tests.simulation.store import MACHINES, ClaimedRow, MessageRow, PendingBell, Row, SimulatedAccount, StepRun, ticks
from tests.support import build

PARKED_TICKS = ticks(PARKED)
_SIESTA = QuietHours(time(11), time(14))
_SENDER = SenderContext(MessageType.OTHER, build.CLIENT_ID)


@cache
def preferences_of(account: SimulatedAccount) -> DeliveryPreferences:
    """Return the preferences of an account as the rules read them. The clock of the model always shows noon."""
    return DeliveryPreferences(
        account_status=AccountStatus.SUSPENDED if account.is_suspended else AccountStatus.ACTIVE,
        channel=account.channel,
        is_closed=account.is_closed,
        quiet_hours=_SIESTA if account.is_asleep else None,
    )


class Tables:
    """The rows, and every change that a transaction makes to them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = 0
        self.rows: dict[int, Row] = {}
        self.messages: dict[UUID, MessageRow] = {}
        self.letters: Counter[int] = Counter()
        self.tokens: dict[int, StepRun] = {}
        self.incoming: dict[UUID, IncomingMessage] = {}
        self.recipients_of: dict[UUID, list[int]] = {}
        self.accounts: dict[UUID, SimulatedAccount] = {}
        self.trying: dict[int, set[UUID]] = {}
        self.journals: dict[int, dict[tuple[int, int], JournalEntry]] = {}
        self.bells: list[PendingBell] = []

    def accept_one(self, message: IncomingMessage, before: Mapping[UUID, IncomingMessage]) -> Acceptance:
        """Store one message, or return why not. `before` holds the messages from before its transaction."""
        unknown = {each for each in message.draft.recipient_ids if self.accounts[each].is_suspended}
        duplicate = _find_duplicate(message, before)
        if duplicate is None and unknown:
            return UnknownRecipients(frozenset(unknown))
        duplicate = duplicate or _find_duplicate(message, self.incoming)
        if duplicate is not None:
            return duplicate
        self._store(message)
        return Stored()

    def _store(self, message: IncomingMessage) -> None:
        message_id, account_ids = message.message_id, message.draft.recipient_ids
        due = self.now + ticks(self.settings.grace)
        self.incoming[message_id] = message
        self.recipients_of[message_id] = list(range(len(self.rows), len(self.rows) + len(account_ids)))
        self.messages[message_id] = MessageRow(message.idempotency_key, len(account_ids))
        for number, account_id in zip(self.recipients_of[message_id], account_ids, strict=True):
            self.rows[number] = Row(message_id, account_id, State.ACCEPTED, due)

    def existing(self, message_ids: Iterable[UUID]) -> list[UUID]:
        """Return those of these messages that exist, in the order in which they are locked."""
        return sorted(set(message_ids) & self.messages.keys())

    def update_message(self, message_id: UUID, **changes: Any) -> None:
        """Change a message."""
        self.messages[message_id] = replace(self.messages[message_id], **changes)

    def update_recipients(self, numbers: Iterable[int], **changes: Any) -> None:
        """Change columns of recipients other than the state."""
        for number in numbers:
            self.rows[number] = replace(self.rows[number], **changes)

    def in_state(self, message_id: UUID, state: State) -> list[int]:
        """Return the recipients of this message that are in this state."""
        return [number for number in self.recipients_of[message_id] if self.rows[number].state is state]

    def pending_recipients(self, message_id: UUID, state: State) -> list[PendingRecipient]:
        """Return the recipients of this message that are in this state, each with its preferences."""
        return [
            PendingRecipient(
                recipient_id=number,
                message_id=message_id,
                account_id=self.rows[number].account_id,
                address="",
                state=state,
                attempt=self.rows[number].attempt,
                sender=_SENDER,
                preference=preferences_of(self.accounts[self.rows[number].account_id]),
                read_at=build.NOON,
            )
            for number in self.in_state(message_id, state)
        ]

    def decide_recipients(self, message_id: UUID, state: State, *, verdict: RuleVerdict) -> list[Transition]:
        """Decide the recipients of this message that are in this state, and ring for those that are queued."""
        grace = self.settings.grace
        decided = [
            decide_recipient(each, verdict=verdict, grace=grace) for each in self.pending_recipients(message_id, state)
        ]
        self.apply_transitions(decided)
        queued = [
            transition
            for transition in decided
            if transition.after is State.QUEUED and transition.channel is Channel.EMAIL
        ]
        self.bells += [PendingBell(StepName.DELIVER, transition.recipient_id) for transition in queued]
        return decided

    def apply_transitions(self, transitions: Sequence[Transition]) -> list[int]:
        """Apply those of these transitions that pass the fence. Returns their recipients."""
        return [
            transition.recipient_id
            for transition in transitions
            if self.passes_fence(transition) and self._apply(transition)
        ]

    def passes_fence(self, transition: Transition) -> bool:
        """Return whether the recipient is still in the state and the attempt that this transition starts from."""
        row = self.rows[transition.recipient_id]
        return row.state is transition.before and row.attempt == transition.attempt

    def _apply(self, transition: Transition) -> bool:
        row = self.rows[transition.recipient_id]
        self.rows[transition.recipient_id] = row = replace(
            row,
            state=transition.after,
            channel=transition.channel or row.channel,
            reason=transition.reason,
            attempt=row.attempt - (not transition.is_attempt),
            due=None if transition.due_in is None else self.now + ticks(transition.due_in),
        )
        self.update_counters(transition)
        if row.state is State.DELIVERED and row.channel is Channel.INBOX:
            self.letters[transition.recipient_id] += 1
        return True

    def update_counters(self, transition: Transition) -> None:
        """Update the counters and the status of the message."""
        message = self.messages[transition.message_id]
        rows = [self.rows[number] for number in self.recipients_of[transition.message_id]]
        good = message.good_count + _gain(transition, StateClass.GOOD)
        verdict = reduce_status([RecipientStatus(row.account_id, row.state, row.reason) for row in rows])
        self.update_message(
            transition.message_id,
            open_count=message.open_count + _gain(transition, StateClass.OPEN),
            good_count=good,
            status=verdict.status,
            is_sent=good > 0,
        )

    def is_claimable(self, number: int, run: StepRun) -> bool:
        """Return whether this run may claim this recipient now."""
        row = self.rows.get(number)
        if row is None:
            return False
        if row.state in {State.RETRYING, State.UNKNOWN}:
            return self.is_due(row)
        return row.state is State.QUEUED or (row.state is State.CLAIMED and self.tokens[number] == run)

    def is_suspect(self, number: int) -> bool:
        """Return whether this recipient is tried isolated."""
        return number in self.rows and self.rows[number].deaths >= SUSPECT_FROM

    def is_due(self, row: Row) -> bool:
        """Return whether this row is due."""
        return row.due is not None and row.due <= self.now

    def attempt(self, number: int) -> Attempt:
        """Return the attempt that is under way at a claimed recipient."""
        row = self.rows[number]
        assert row.channel is not None
        return Attempt(number, row.message_id, row.attempt, row.channel)

    def check_preferences(self, number: int) -> ClaimedRow:
        """Check the current preferences of a claimed recipient."""
        attempt = self.attempt(number)
        preference = preferences_of(self.accounts[self.rows[number].account_id])
        return ClaimedRow(
            attempt, resolve_without_network(choose_channel(_SENDER, preference, now=build.NOON), attempt.channel)
        )

    def transition_after(self, attempt: Attempt, outcome: Outcome, patience: timedelta) -> Transition:
        """Return the transition that follows an outcome under these settings, without jitter."""
        return next_transition(attempt, apply_unknown_policy(outcome, self.settings), 0.0, patience=patience)

    def journal_of(self, worker: int, machine: int) -> Mapping[tuple[int, int], JournalEntry] | None:
        """Return the journal of this worker, or None when it is on another machine."""
        return self.journals[worker] if worker % MACHINES == machine else None

    def end_interrupted_attempt(
        self, attempt: Attempt, entries: Mapping[tuple[int, int], JournalEntry] | None, *, is_blamed: bool
    ) -> None:
        """End an attempt of a crashed worker, and ring for a recipient that may be tried again at once."""
        deaths = self.rows[attempt.recipient_id].deaths + is_blamed
        transition = self.transition_after(
            attempt, after_death(attempt, entries, deaths=deaths), self.settings.send_deadline
        )
        self.apply_transitions([transition])
        self.update_recipients([attempt.recipient_id], deaths=deaths)
        if transition.after is State.RETRYING and not transition.due_in:
            self.bells.append(PendingBell(StepName.DELIVER, attempt.recipient_id))

    def count_death(self, message_id: UUID) -> None:
        """Count a crash against a message that was being decided, or whose case was being opened or expired."""
        message = self.messages[message_id]
        if message.is_decided and not self._has_pending_case_work(message):
            return
        self.update_message(message_id, deaths=message.deaths + 1)
        if message.deaths + 1 >= DEATHS_LIMIT:
            waiting = self.in_state(message_id, State.ACCEPTED) + self.in_state(message_id, State.HELD)
            self.update_recipients(waiting, due=self.now + PARKED_TICKS, reason=Reason.POISONED)

    def _has_pending_case_work(self, message: MessageRow) -> bool:
        is_overdue = message.case is CaseState.OPEN and message.expires is not None and message.expires <= self.now
        return message.has_vetting_id and (message.case is None or is_overdue)

    def postpone(self, numbers: Iterable[int], states: Sequence[State]) -> None:
        """Postpone those of these recipients that are in these states."""
        pause = self.now + ticks(timedelta(seconds=self.settings.step_pause_s))
        for number in numbers:
            row = self.rows.get(number)
            if row is not None and row.state in states and row.due is not None:
                self.update_recipients([number], due=max(row.due, pause), reason=Reason.STEP_FAILED)


def _find_duplicate(message: IncomingMessage, known: Mapping[UUID, IncomingMessage]) -> Duplicate | None:
    """Return the known message with the same key or the same id."""
    for message_id, each in known.items():
        is_same_key = message.idempotency_key is not None and message.idempotency_key == each.idempotency_key
        if is_same_key or message_id == message.message_id:
            digest = each.content_hash
            return Duplicate(message_id, digest is not None and digest == message.content_hash)
    return None


def _gain(transition: Transition, state_class: StateClass) -> int:
    return (STATE_CLASSES[transition.after] is state_class) - (STATE_CLASSES[transition.before] is state_class)
