"""The decide step decides all recipients of many messages in three statements, and writes inbox letters."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.vocabulary import AccountStatus, Channel, MessageType, QueueName, Reason, State, StepName
from tasks.context import StepContext
from tasks.steps.decide import AT_ONCE, decide
from tests.steps.conftest import HELD_PHRASE
from tests.support.fixtures import Fixtures
from tests.support.statements import counted
from tests.support.step_driver import RecordingDoorbell, RungBell


def test_a_message_to_an_inbox_is_delivered_by_the_decision_itself(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account()
    message_id = fixtures.message(account_id)

    decide(context, [message_id])

    view = fixtures.view(message_id)
    assert [(State.DELIVERED, Channel.INBOX)] == [(each.state, each.channel) for each in view.recipients]
    assert [message_id] == fixtures.inbox(account_id)
    assert view.sent_at is not None


def test_a_message_by_email_is_queued_and_its_bell_rung(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell
) -> None:
    message_id = fixtures.message(*fixtures.accounts(2, Channel.EMAIL))

    decide(context, [message_id])

    queued = tuple(fixtures.recipient_ids(message_id))
    assert [State.QUEUED] * 2 == fixtures.states(message_id)
    assert [RungBell(StepName.DELIVER, QueueName.DELIVER_SMTP, queued)] == list(bells.rung)
    assert fixtures.view(message_id).sent_at is None


def test_each_of_twenty_five_recipients_gets_its_own_decision(fixtures: Fixtures, context: StepContext) -> None:
    expected = [
        (fixtures.account(), State.DELIVERED, None),
        (fixtures.account(Channel.EMAIL), State.QUEUED, None),
        (fixtures.account(is_closed=True), State.BLOCKED, Reason.CLOSED_TO_EVERYBODY),
        (fixtures.account(accepted_types=(MessageType.JOB,)), State.BLOCKED, Reason.TYPE_NOT_ACCEPTED),
        (fixtures.account(accepted_types=(MessageType.OTHER,)), State.DELIVERED, None),
    ] * 5
    expected = [(_account_like(fixtures, account_id), state, reason) for account_id, state, reason in expected]
    message_id = fixtures.message(*(account_id for account_id, *_ in expected))

    decide(context, [message_id])

    assert [(state, reason) for _, state, reason in expected] == [
        (each.state, each.reason) for each in fixtures.view(message_id).recipients
    ]
    assert (5, 10, "sent") == fixtures.counters(message_id)


def test_an_account_closed_after_the_accept_cannot_be_reached(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account()
    message_id = fixtures.message(account_id)
    fixtures.change(account_id, status=AccountStatus.CLOSED)

    decide(context, [message_id])

    assert [(State.FAILED, Reason.ACCOUNT_UNAVAILABLE)] == _states_and_reasons(fixtures, message_id)


def test_an_account_without_preferences_is_reached_in_its_inbox(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account()
    fixtures.run_sql("DELETE FROM preference")
    message_id = fixtures.message(account_id)

    decide(context, [message_id])

    assert [message_id] == fixtures.inbox(account_id)


@pytest.mark.parametrize("number", [1, 30])
def test_the_number_of_statements_does_not_grow_with_the_messages(
    fixtures: Fixtures, context: StepContext, number: int
) -> None:
    message_ids = [fixtures.message(*fixtures.accounts(3)) for _ in range(number)]

    with counted(fixtures.database) as statements:
        decide(context, message_ids)

    assert ["preference"] == [name for each in statements for name in ["preference"] if name in each.sql]
    assert 3 == len(statements)
    assert 3 * number == fixtures.count("inbox_letter")


def test_a_bell_with_very_many_messages_decides_all_of_them(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell
) -> None:
    flagged, mailed = (
        fixtures.message(fixtures.account(), subject=HELD_PHRASE),
        fixtures.message(fixtures.account(Channel.EMAIL)),
    )
    account_id = fixtures.account()
    message_ids = [flagged, mailed, *(fixtures.message(account_id) for _ in range(2 * AT_ONCE))]

    decide(context, message_ids)

    assert 2 * AT_ONCE == fixtures.count("inbox_letter")
    assert ([State.HELD], [State.QUEUED]) == (fixtures.states(flagged), fixtures.states(mailed))
    assert {StepName.VET, StepName.DELIVER} == {bell.step for bell in bells.rung}


def test_inbox_letters_and_states_are_written_in_one_transaction(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(*fixtures.accounts(3))

    decide(context, [message_id])

    (row,) = fixtures.run_sql(
        "SELECT count(DISTINCT xmin) AS transactions FROM"
        " (SELECT xmin::text FROM recipient UNION ALL SELECT xmin::text FROM inbox_letter"
        " UNION ALL SELECT xmin::text FROM message) AS row"
    )
    assert 1 == row.transactions


def test_a_bell_that_rings_twice_delivers_once(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell
) -> None:
    inbox, email = fixtures.account(), fixtures.account(Channel.EMAIL)
    message_id = fixtures.message(inbox, email)

    decide(context, [message_id])
    decide(context, [message_id, message_id])

    assert [message_id] == fixtures.inbox(inbox)
    assert 1 == len(bells.rung)
    assert (1, 1, "sent") == fixtures.counters(message_id)


def test_concurrent_decisions_deliver_once(fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell) -> None:
    message_ids = [fixtures.message(*fixtures.accounts(2), fixtures.account(Channel.EMAIL)) for _ in range(10)]
    start = threading.Barrier(6)

    def decide_at_once(ids: Sequence[UUID]) -> None:
        start.wait()
        decide(context, ids)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(decide_at_once, [message_ids, message_ids[::-1]] * 3))

    assert 20 == fixtures.count("inbox_letter")
    assert 10 == sum(len(bell.ids) for bell in bells.rung)


def test_a_message_locked_by_another_transaction_is_skipped(fixtures: Fixtures, context: StepContext) -> None:
    free, locked = fixtures.message(fixtures.account()), fixtures.message(fixtures.account())

    with transaction(fixtures.database) as db:
        db.execute(text("SELECT FROM message WHERE id = :id FOR NO KEY UPDATE"), {"id": locked})
        decide(context, [locked, free])

    assert ([State.DELIVERED], [State.ACCEPTED]) == (fixtures.states(free), fixtures.states(locked))


def test_an_unknown_message_is_skipped(fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell) -> None:
    decide(context, [uuid7()])

    assert [] == list(bells.rung)
    assert 0 == fixtures.count("inbox_letter")


def test_a_flagged_message_is_held_and_the_bell_for_vetting_is_rung(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell
) -> None:
    account_id = fixtures.account()
    message_id = fixtures.message(account_id, fixtures.account(Channel.EMAIL), body=f"Please {HELD_PHRASE} today.")

    decide(context, [message_id])

    assert [(State.HELD, Reason.FLAGGED)] * 2 == _states_and_reasons(fixtures, message_id)
    assert fixtures.view(message_id).vetting_id is not None
    assert [] == fixtures.inbox(account_id)
    assert [RungBell(StepName.VET, QueueName.VETTING, (message_id,))] == list(bells.rung)


def test_a_bell_that_rings_twice_does_not_change_a_held_message(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell
) -> None:
    message_id = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [message_id])
    held = fixtures.view(message_id)

    decide(context, [message_id])

    assert held == fixtures.view(message_id)
    assert 1 == len(bells.rung)


def test_only_the_flagged_message_of_a_bell_is_held(fixtures: Fixtures, context: StepContext) -> None:
    plain, flagged = (
        fixtures.message(fixtures.account()),
        fixtures.message(fixtures.account(), subject=HELD_PHRASE.upper()),
    )

    decide(context, [plain, flagged])

    assert ([State.DELIVERED], [State.HELD]) == (fixtures.states(plain), fixtures.states(flagged))
    assert fixtures.view(plain).vetting_id is None


def test_preferences_are_applied_before_vetting(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account(is_closed=True), fixtures.account(), subject=HELD_PHRASE)

    decide(context, [message_id])

    assert [State.BLOCKED, State.HELD] == fixtures.states(message_id)


def test_a_flagged_message_that_all_recipients_block_is_rejected_and_not_held(
    fixtures: Fixtures, context: StepContext, bells: RecordingDoorbell
) -> None:
    message_id = fixtures.message(
        fixtures.account(is_closed=True), fixtures.account(accepted_types=()), subject=HELD_PHRASE
    )

    decide(context, [message_id])

    assert [State.BLOCKED] * 2 == fixtures.states(message_id)
    assert (0, 0, "rejected") == fixtures.counters(message_id)
    assert ([], None) == (list(bells.rung), fixtures.view(message_id).vetting_id)


def _account_like(fixtures: Fixtures, account_id: UUID) -> UUID:
    """Create another account with the same preferences."""
    (row,) = fixtures.run_sql(
        "SELECT channel, is_closed, accepted_types FROM preference WHERE account_id = :id", id=account_id
    )
    types = None if row.accepted_types is None else tuple(map(MessageType, row.accepted_types))
    return fixtures.account(Channel(row.channel), is_closed=row.is_closed, accepted_types=types)


def _states_and_reasons(fixtures: Fixtures, message_id: UUID) -> list[tuple[State, Reason | None]]:
    return [(each.state, each.reason) for each in fixtures.view(message_id).recipients]


def test_messages_to_many_recipients_are_decided_in_portions_of_a_thousand(
    fixtures: Fixtures, context: StepContext
) -> None:
    account_ids = fixtures.accounts(25)
    message_ids = [fixtures.message(*account_ids) for _ in range(41)]

    with counted(fixtures.database) as statements:
        decide(context, message_ids)

    assert 1 + 2 * 2 == len(statements)
    assert 41 * 25 == fixtures.count("inbox_letter")
