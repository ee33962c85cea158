"""Taking messages in: each wholly or not at all, many in one transaction."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from delivery.records.pipeline.accept import Duplicate, Stored, UnknownRecipients
from delivery.vocabulary import AccountStatus, Channel, MessageType, State
from tests.support.fixtures import Book
from tests.support.statements import counted


def test_a_message_is_stored_as_it_was_sent(book: Book) -> None:
    first, second = book.accounts(2)

    message_id = book.message(
        second, first, sender_email="grace@example.com", subject=" Hi ", body="a\r\nb\t", type=MessageType.RFQ
    )

    view = book.view(message_id)
    assert ("Grace", "grace@example.com", " Hi ", "a\r\nb\t", MessageType.RFQ) == (
        view.sender_name,
        view.sender_email,
        view.subject,
        view.body,
        view.type,
    )
    assert [second, first] == [each.account_id for each in view.recipients]
    assert (book.client_id, None, None) == (view.client_id, view.sent_at, view.vetting_id)


def test_a_fresh_message_is_left_to_the_bell_for_the_grace(book: Book) -> None:
    message_id = book.message(*book.accounts(2))

    rows = book.ask(
        "SELECT state, attempt, due_at - changed_at AS grace FROM recipient WHERE message_id = :id", id=message_id
    )
    assert [(State.ACCEPTED, 0)] * 2 == [(row.state, row.attempt) for row in rows]
    assert all(timedelta(seconds=4.9) < row.grace < timedelta(seconds=5.1) for row in rows)


def test_many_drafts_are_stored_by_one_statement(book: Book) -> None:
    arrivals = [book.incoming(*book.accounts(3)) for _ in range(20)]

    with counted(book.database) as statements:
        accepted = book.accept(*arrivals)

    assert {incoming.message_id: Stored() for incoming in arrivals} == accepted
    assert (1, 20, 60) == (len(statements), book.count("message"), book.count("recipient"))


@pytest.mark.parametrize("status", [AccountStatus.SUSPENDED, AccountStatus.CLOSED, None])
def test_an_account_that_is_not_active_refuses_its_own_message_only(book: Book, status: AccountStatus | None) -> None:
    known = book.account()
    stranger = uuid7() if status is None else book.account(status=status)
    good, bad = book.incoming(known), book.incoming(known, stranger)

    accepted = book.accept(good, bad)

    assert {good.message_id: Stored(), bad.message_id: UnknownRecipients(frozenset({stranger}))} == accepted
    assert [good.message_id] == [row.id for row in book.ask("SELECT id FROM message")]
    assert [(good.message_id, known)] == [
        tuple(row) for row in book.ask("SELECT message_id, account_id FROM recipient")
    ]


def test_every_stranger_of_a_message_is_named(book: Book) -> None:
    strangers = [uuid7() for _ in range(24)]
    incoming = book.incoming(*strangers, book.account())

    assert {incoming.message_id: UnknownRecipients(frozenset(strangers))} == book.accept(incoming)


def test_the_same_message_id_twice_changes_nothing(book: Book) -> None:
    account_id = book.account()
    message_id = book.message(account_id, subject="first")

    accepted = book.accept(book.incoming(account_id, message_id=message_id, subject="second"))

    assert {message_id: Duplicate(message_id, is_identical=False)} == accepted
    assert "first" == book.view(message_id).subject
    assert 1 == book.count("recipient")


def test_the_same_account_twice_in_a_draft_stores_nothing(book: Book) -> None:
    account_id = book.account()

    with pytest.raises(IntegrityError):
        book.accept(book.incoming(account_id, account_id))

    assert (0, 0) == (book.count("message"), book.count("recipient"))


def test_concurrent_accepts_to_the_same_accounts_all_succeed(book: Book) -> None:
    account_ids = book.accounts(5, Channel.EMAIL)
    arrivals = [[book.incoming(*account_ids) for _ in range(10)] for _ in range(12)]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda batch: book.accept(*batch), arrivals))

    assert [{Stored()}] * 12 == [set(answer.values()) for answer in answers]
    assert (120, 600) == (book.count("message"), book.count("recipient"))


def test_the_counters_start_with_every_recipient_open(book: Book) -> None:
    message_id = book.message(*book.accounts(7))

    assert (7, 0, "pending") == book.counters(message_id)
