"""What must hold after every transition, whatever was lost, doubled or killed before it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from delivery.rules.states import STATE_CLASSES, StateClass, is_legal
from delivery.rules.status import RecipientStatus, reduce_status
from delivery.vocabulary import Channel, State
from tests.simulation.store import MessageRow, Row, StepRun, View


@dataclass(slots=True)
class PastMoves:
    """What the outside saw: which bytes left, which copies the relay kept, whom staff let go, who was answered what."""

    touched: set[int] = field(default_factory=set)
    """Recipients for whom a mail went out, kept by the relay or not."""
    copies: Counter[int] = field(default_factory=Counter)
    claims: dict[tuple[int, int], StepRun] = field(default_factory=dict)
    flagged: set[UUID] = field(default_factory=set)
    approved: set[UUID] = field(default_factory=set)
    stored: set[UUID] = field(default_factory=set)


def check_invariants(before: View, after: View, ledger: PastMoves) -> None:
    """See that every promise was kept by the transition from the one view to the other.

    Raises `AssertionError` with the promise and the number of who it was broken to.
    """
    broken = [*_broken_by_rows(after, ledger), *_broken_by_moves(before, after), *_broken_by_sheets(after, ledger)]
    assert [] == broken


def _broken_by_rows(view: View, ledger: PastMoves) -> Iterator[tuple[str, object]]:
    for number, row in view.rows.items():
        is_held_back = row.message_id in ledger.flagged and row.message_id not in ledger.approved
        letters, copies = view.letters.get(number, 0), ledger.copies[number]
        if letters != (row.state is State.DELIVERED and row.channel is Channel.INBOX):
            yield "an inbox letter comes exactly once, and only to whom the inbox delivered", number
        if is_held_back and (letters or number in ledger.touched):
            yield "no byte of a held message leaves before its approval", number
        if copies > 1 and not row.possibly_duplicated:
            yield "a second copy says that it may be one", number
        if row.state is State.DELIVERED and row.channel is Channel.EMAIL and not copies:
            yield "who counts as delivered has been sent it", number
        if (row.due is None) != (STATE_CLASSES[row.state] is not StateClass.OPEN):
            yield "whoever is open is due some time", number
    if view.letters.keys() - view.rows.keys():
        yield "a letter has a recipient", view.letters


def _broken_by_moves(before: View, after: View) -> Iterator[tuple[str, object]]:
    for number, was in before.rows.items():
        row = after.rows.get(number)
        if row == was:
            continue
        if row is None or not (row.state is was.state or is_legal(was.state, row.state)):
            yield "a recipient makes legal moves only, one at a time", (number, was, row)
        elif row.attempt < was.attempt or row.possibly_duplicated < was.possibly_duplicated:
            yield "attempts are counted and flags are kept", (number, was, row)


def _broken_by_sheets(view: View, ledger: PastMoves) -> Iterator[tuple[str, object]]:
    standings: dict[UUID, list[Row]] = {}
    for row in view.rows.values():
        standings.setdefault(row.message_id, []).append(row)
    if ledger.stored != view.sheets.keys():
        yield "what was answered as stored is there, and nothing else", view.sheets
    keys = [sheet.key for sheet in view.sheets.values() if sheet.key is not None]
    if len(keys) > len(set(keys)):
        yield "one key stands for one message", keys
    for message_id, sheet in view.sheets.items():
        if not _agrees(sheet, standings[message_id]):
            yield "counters and status are those of the recipients", (message_id, sheet)


def _agrees(sheet: MessageRow, rows: list[Row]) -> bool:
    weights = Counter(STATE_CLASSES[row.state] for row in rows)
    status = reduce_status([RecipientStatus(row.account_id, row.state, row.reason) for row in rows]).status
    counted = (weights[StateClass.OPEN], weights[StateClass.GOOD], status, weights[StateClass.GOOD] > 0)
    return counted == (sheet.open_count, sheet.good_count, sheet.status, sheet.is_sent)
