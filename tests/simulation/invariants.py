"""What must hold after every action, whatever was lost, repeated or killed before it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from delivery.rules.states import STATE_CLASSES, StateClass, is_legal
from delivery.rules.status import RecipientStatus, reduce_status
from delivery.vocabulary import Channel, State
from tests.simulation.store import MessageRow, Row, StepRun, View


@dataclass(slots=True)
class Observations:
    """What clients, relay and staff saw: stored messages, mails that left, copies that the relay kept, approvals."""

    touched: set[int] = field(default_factory=set)
    """Recipients for whom a mail went out, kept by the relay or not."""
    copies: Counter[int] = field(default_factory=Counter)
    claims: dict[tuple[int, int], StepRun] = field(default_factory=dict)
    flagged: set[UUID] = field(default_factory=set)
    approved: set[UUID] = field(default_factory=set)
    stored: set[UUID] = field(default_factory=set)


def check_invariants(before: View, after: View, observed: Observations) -> None:
    """Check every invariant on a view, and on its difference to the view before.

    Raises `AssertionError` with each broken invariant and the ids that break it.
    """
    broken = [
        *_broken_by_rows(after, observed),
        *_broken_by_changes(before, after),
        *_broken_by_messages(after, observed),
    ]
    assert [] == broken


def _broken_by_rows(view: View, observed: Observations) -> Iterator[tuple[str, object]]:
    for number, row in view.rows.items():
        is_held_back = row.message_id in observed.flagged and row.message_id not in observed.approved
        letters, copies = view.letters.get(number, 0), observed.copies[number]
        if letters != (row.state is State.DELIVERED and row.channel is Channel.INBOX):
            yield "a recipient has one inbox letter if delivered by inbox, and none otherwise", number
        if is_held_back and (letters or number in observed.touched):
            yield "nothing of a held message leaves before its approval", number
        if copies > 1 and not row.possibly_duplicated:
            yield "a recipient with a second copy is flagged as possibly duplicated", number
        if row.state is State.DELIVERED and row.channel is Channel.EMAIL and not copies:
            yield "the relay kept a mail for every recipient delivered by e-mail", number
        if (row.due is None) != (STATE_CLASSES[row.state] is not StateClass.OPEN):
            yield "exactly the open recipients are due", number
    if view.letters.keys() - view.rows.keys():
        yield "a letter has a recipient", view.letters


def _broken_by_changes(before: View, after: View) -> Iterator[tuple[str, object]]:
    for number, was in before.rows.items():
        row = after.rows.get(number)
        if row == was:
            continue
        if row is None or not (row.state is was.state or is_legal(was.state, row.state)):
            yield "a recipient makes only legal transitions, one at a time", (number, was, row)
        elif row.attempt < was.attempt - _may_return(was, row) or row.possibly_duplicated < was.possibly_duplicated:
            yield "attempts only grow, but for the number of a claim that is given back, and a flag stays", (was, row)


def _may_return(was: Row, row: Row) -> bool:
    return was.state is State.CLAIMED and row.state is State.RETRYING


def _broken_by_messages(view: View, observed: Observations) -> Iterator[tuple[str, object]]:
    recipients: dict[UUID, list[Row]] = {}
    for row in view.rows.values():
        recipients.setdefault(row.message_id, []).append(row)
    if observed.stored != view.messages.keys():
        yield "exactly the messages that were answered as stored exist", view.messages
    keys = [message.key for message in view.messages.values() if message.key is not None]
    if len(keys) > len(set(keys)):
        yield "one key stands for one message", keys
    for message_id, message in view.messages.items():
        if not _agrees(message, recipients[message_id]):
            yield "counters and status are those of the recipients", (message_id, message)


def _agrees(message: MessageRow, rows: list[Row]) -> bool:
    classes = Counter(STATE_CLASSES[row.state] for row in rows)
    status = reduce_status([RecipientStatus(row.account_id, row.state, row.reason) for row in rows]).status
    expected = (classes[StateClass.OPEN], classes[StateClass.GOOD], status, classes[StateClass.GOOD] > 0)
    return expected == (message.open_count, message.good_count, message.status, message.is_sent)
