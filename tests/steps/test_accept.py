"""Accepting messages stores each of them completely or not at all, and many in one transaction."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from delivery.records.pipeline.accept import Duplicate, Stored, UnknownRecipients
from delivery.vocabulary import AccountStatus, Channel, MessageType, State
from tests.support.fixtures import Fixtures
from tests.support.statements import counted


def test_a_message_is_stored_as_it_was_sent(fixtures: Fixtures) -> None:
    first, second = fixtures.accounts(2)

    message_id = fixtures.message(
        second, first, sender_email="grace@example.com", subject=" Hi ", body="a\r\nb\t", type=MessageType.RFQ
    )

    view = fixtures.view(message_id)
    assert ("Grace", "grace@example.com", " Hi ", "a\r\nb\t", MessageType.RFQ) == (
        view.sender_name,
        view.sender_email,
        view.subject,
        view.body,
        view.type,
    )
    assert [second, first] == [each.account_id for each in view.recipients]
    assert (fixtures.client_id, None, None) == (view.client_id, view.sent_at, view.vetting_id)


def test_a_new_message_is_left_to_its_bell_during_the_grace(fixtures: Fixtures) -> None:
    message_id = fixtures.message(*fixtures.accounts(2))

    rows = fixtures.run_sql(
        "SELECT state, attempt, due_at - changed_at AS grace FROM recipient WHERE message_id = :id", id=message_id
    )
    assert [(State.ACCEPTED, 0)] * 2 == [(row.state, row.attempt) for row in rows]
    assert all(timedelta(seconds=4.9) < row.grace < timedelta(seconds=5.1) for row in rows)


def test_many_messages_are_stored_by_one_statement(fixtures: Fixtures) -> None:
    incoming_messages = [fixtures.incoming(*fixtures.accounts(3)) for _ in range(20)]

    with counted(fixtures.database) as statements:
        accepted = fixtures.accept(*incoming_messages)

    assert {incoming.message_id: Stored() for incoming in incoming_messages} == accepted
    assert (1, 20, 60) == (len(statements), fixtures.count("message"), fixtures.count("recipient"))


@pytest.mark.parametrize("status", [AccountStatus.SUSPENDED, AccountStatus.CLOSED, None])
def test_an_account_that_is_not_active_makes_only_its_own_message_refused(
    fixtures: Fixtures, status: AccountStatus | None
) -> None:
    known_id = fixtures.account()
    unknown_id = uuid7() if status is None else fixtures.account(status=status)
    good, bad = fixtures.incoming(known_id), fixtures.incoming(known_id, unknown_id)

    accepted = fixtures.accept(good, bad)

    assert {good.message_id: Stored(), bad.message_id: UnknownRecipients(frozenset({unknown_id}))} == accepted
    assert [good.message_id] == [row.id for row in fixtures.run_sql("SELECT id FROM message")]
    assert [(good.message_id, known_id)] == [
        tuple(row) for row in fixtures.run_sql("SELECT message_id, account_id FROM recipient")
    ]


def test_every_unknown_recipient_of_a_message_is_named(fixtures: Fixtures) -> None:
    unknown_ids = [uuid7() for _ in range(24)]
    incoming = fixtures.incoming(*unknown_ids, fixtures.account())

    assert {incoming.message_id: UnknownRecipients(frozenset(unknown_ids))} == fixtures.accept(incoming)


def test_the_same_message_id_twice_changes_nothing(fixtures: Fixtures) -> None:
    account_id = fixtures.account()
    message_id = fixtures.message(account_id, subject="first")

    accepted = fixtures.accept(fixtures.incoming(account_id, message_id=message_id, subject="second"))

    assert {message_id: Duplicate(message_id, is_identical=False)} == accepted
    assert "first" == fixtures.view(message_id).subject
    assert 1 == fixtures.count("recipient")


def test_the_same_account_twice_in_one_message_stores_nothing(fixtures: Fixtures) -> None:
    account_id = fixtures.account()

    with pytest.raises(IntegrityError):
        fixtures.accept(fixtures.incoming(account_id, account_id))

    assert (0, 0) == (fixtures.count("message"), fixtures.count("recipient"))


def test_concurrent_accepts_to_the_same_accounts_all_succeed(fixtures: Fixtures) -> None:
    account_ids = fixtures.accounts(5, Channel.EMAIL)
    incoming_messages = [[fixtures.incoming(*account_ids) for _ in range(10)] for _ in range(12)]

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda batch: fixtures.accept(*batch), incoming_messages))

    assert [{Stored()}] * 12 == [set(result.values()) for result in results]
    assert (120, 600) == (fixtures.count("message"), fixtures.count("recipient"))


def test_the_counters_start_with_every_recipient_open(fixtures: Fixtures) -> None:
    message_id = fixtures.message(*fixtures.accounts(7))

    assert (7, 0, "pending") == fixtures.counters(message_id)
