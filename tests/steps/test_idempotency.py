"""A request that is sent twice with one idempotency key is one message, even when both come at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from delivery.records.pipeline.accept import Duplicate, IncomingMessage, Stored
from delivery.vocabulary import MessageType
from tests.support.fixtures import Fixtures


def test_a_used_key_with_the_same_content_names_the_first_message(fixtures: Fixtures) -> None:
    first = keyed(fixtures, fixtures.account())
    fixtures.accept(first)

    again = replace(first, message_id=fixtures.incoming(fixtures.account()).message_id)

    assert {again.message_id: Duplicate(first.message_id, is_identical=True)} == fixtures.accept(again)
    assert 1 == fixtures.count("message")


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
def test_a_used_key_with_other_content_is_not_identical(fixtures: Fixtures, change: dict[str, Any]) -> None:
    account_id = fixtures.account()
    fixtures.accept(keyed(fixtures, account_id))

    other = keyed(fixtures, account_id, **change)

    (result,) = fixtures.accept(other).values()
    assert isinstance(result, Duplicate)
    assert not result.is_identical


def test_the_order_of_recipients_does_not_matter(fixtures: Fixtures) -> None:
    one, two = fixtures.accounts(2)
    first = keyed(fixtures, one, two)
    fixtures.accept(first)

    again = keyed(fixtures, two, one)

    assert {again.message_id: Duplicate(first.message_id, is_identical=True)} == fixtures.accept(again)


def test_a_key_belongs_to_its_client(fixtures: Fixtures) -> None:
    account_id = fixtures.account()
    fixtures.accept(keyed(fixtures, account_id))

    other = replace(keyed(fixtures, account_id), client_id=fixtures.client())

    assert {other.message_id: Stored()} == fixtures.accept(other)


def test_a_duplicate_is_recognised_after_a_recipient_was_closed(fixtures: Fixtures) -> None:
    account_id = fixtures.account()
    first = keyed(fixtures, account_id)
    fixtures.accept(first)
    fixtures.run_sql("UPDATE account SET status = 'closed'")

    again = keyed(fixtures, account_id)

    assert {again.message_id: Duplicate(first.message_id, is_identical=True)} == fixtures.accept(again)


def test_two_requests_with_one_key_in_one_commit_are_one_message(fixtures: Fixtures) -> None:
    account_id = fixtures.account()
    first, second = keyed(fixtures, account_id), keyed(fixtures, account_id)

    results = fixtures.accept(first, second)

    stored_ids = [message_id for message_id, result in results.items() if result == Stored()]
    duplicates = [result for result in results.values() if isinstance(result, Duplicate)]
    assert (1, 1) == (len(stored_ids), fixtures.count("message"))
    assert [Duplicate(stored_ids[0], is_identical=True)] == duplicates


def test_the_same_keys_from_many_processes_at_once_are_one_message_each(fixtures: Fixtures) -> None:
    account_id = fixtures.account()
    keys = [f"key {number}" for number in range(8)]
    batches = [[keyed(fixtures, account_id, key=key) for key in (keys if i % 2 else keys[::-1])] for i in range(12)]

    with ThreadPoolExecutor(6) as pool:
        results = [
            result for each in pool.map(lambda batch: fixtures.accept(*batch), batches) for result in each.values()
        ]

    assert (8, 8) == (fixtures.count("message"), sum(result == Stored() for result in results))
    assert all(result.is_identical for result in results if isinstance(result, Duplicate))


def test_without_a_key_no_message_is_a_duplicate(fixtures: Fixtures) -> None:
    account_id = fixtures.account()

    fixtures.accept(fixtures.incoming(account_id), fixtures.incoming(account_id))

    assert 2 == fixtures.count("message")


def keyed(fixtures: Fixtures, *account_ids: Any, key: str = "k", **fields: Any) -> IncomingMessage:
    """Return an incoming message with an idempotency key."""
    return replace(fixtures.incoming(*account_ids, **fields), idempotency_key=key)
