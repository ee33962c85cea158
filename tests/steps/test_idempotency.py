"""A request that is sent twice is one message, however closely the two come together."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from delivery.records.pipeline.accept import Duplicate, IncomingMessage, Stored
from delivery.vocabulary import MessageType
from tests.support.fixtures import Book


def test_a_used_key_with_the_same_content_names_the_first_message(book: Book) -> None:
    first = keyed(book, book.account())
    book.accept(first)

    again = replace(first, message_id=book.incoming(book.account()).message_id)

    assert {again.message_id: Duplicate(first.message_id, is_identical=True)} == book.accept(again)
    assert 1 == book.count("message")


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "Other"},
        {"body": "How are you? "},
        {"sender_name": "grace"},
        {"sender_email": "g@example.com"},
        {"type": MessageType.JOB},
    ],
)
def test_a_used_key_with_other_content_is_no_repetition(book: Book, change: dict[str, Any]) -> None:
    account_id = book.account()
    book.accept(keyed(book, account_id))

    other = keyed(book, account_id, **change)

    (answer,) = book.accept(other).values()
    assert isinstance(answer, Duplicate)
    assert not answer.is_identical


def test_recipients_count_as_a_set(book: Book) -> None:
    one, two = book.accounts(2)
    first = keyed(book, one, two)
    book.accept(first)

    again = keyed(book, two, one)

    assert {again.message_id: Duplicate(first.message_id, is_identical=True)} == book.accept(again)


def test_a_key_belongs_to_its_client(book: Book) -> None:
    account_id = book.account()
    book.accept(keyed(book, account_id))

    other = replace(keyed(book, account_id), client_id=book.client())

    assert {other.message_id: Stored()} == book.accept(other)


def test_a_repetition_is_recognised_after_a_recipient_was_closed(book: Book) -> None:
    account_id = book.account()
    first = keyed(book, account_id)
    book.accept(first)
    book.ask("UPDATE account SET status = 'closed'")

    again = keyed(book, account_id)

    assert {again.message_id: Duplicate(first.message_id, is_identical=True)} == book.accept(again)


def test_two_with_one_key_in_one_commit_are_one_message(book: Book) -> None:
    account_id = book.account()
    first, second = keyed(book, account_id), keyed(book, account_id)

    answers = book.accept(first, second)

    stored = [message_id for message_id, answer in answers.items() if answer == Stored()]
    repeated = [answer for answer in answers.values() if isinstance(answer, Duplicate)]
    assert (1, 1) == (len(stored), book.count("message"))
    assert [Duplicate(stored[0], is_identical=True)] == repeated


def test_the_same_keys_from_many_processes_at_once_are_one_message_each(book: Book) -> None:
    account_id = book.account()
    keys = [f"key {number}" for number in range(8)]
    batches = [[keyed(book, account_id, key=key) for key in (keys if i % 2 else keys[::-1])] for i in range(12)]

    with ThreadPoolExecutor(6) as pool:
        answers = [answer for each in pool.map(lambda batch: book.accept(*batch), batches) for answer in each.values()]

    assert (8, 8) == (book.count("message"), sum(answer == Stored() for answer in answers))
    assert all(answer.is_identical for answer in answers if isinstance(answer, Duplicate))


def test_without_a_key_nothing_is_a_repetition(book: Book) -> None:
    account_id = book.account()

    book.accept(book.incoming(account_id), book.incoming(account_id))

    assert 2 == book.count("message")


def keyed(book: Book, *account_ids: Any, key: str = "k", **fields: Any) -> IncomingMessage:
    """Draft a message under an idempotency key."""
    return replace(book.incoming(*account_ids, **fields), idempotency_key=key)
