"""What rules learn about the time before a message."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from delivery.detection.facts import UNKNOWN
from delivery.detection.folding import fold, text_key
from delivery.records.database import transaction
from delivery.records.rule_sets import history, past_messages
from tests.support.fixtures import Fixtures


def past_of(fixtures: Fixtures, message: UUID, body: str = "Hello") -> dict[str, Any]:
    """Return the facts of history of a message with this text."""
    with transaction(fixtures.database) as db:
        return history.histories(db, {message: key(body)})[message]


def values(past: dict[str, Any], names: str) -> tuple[Any, ...]:
    """Return the values of these facts."""
    return tuple(past[name] for name in names.split())


def key(body: str) -> int:
    """Return the key of a message's text."""
    return text_key(fold(f"Hello\n{body}"))


def attest(fixtures: Fixtures, message: UUID, account: UUID) -> None:
    """Record that the client attested the sender's account."""
    fixtures.run_sql(f"UPDATE message SET sender_account_id = '{account}' WHERE id = '{message}'")


def age(fixtures: Fixtures, message: UUID, passed: timedelta) -> None:
    """Let a message be older."""
    fixtures.run_sql(
        f"UPDATE message SET created_at = created_at - interval '{passed.days} days' WHERE id = '{message}'"
    )


def test_a_first_message_has_no_past(fixtures: Fixtures) -> None:
    message = fixtures.message(fixtures.account(), fixtures.account(), sender_email="ada@example.com")

    past = past_of(fixtures, message)

    assert (0, True, True, UNKNOWN, 2) == values(
        past, "sender.messages sender.is_new pair.is_first pair.days pair.unknown_recipients"
    )


def test_an_attested_sender_has_a_past_with_a_recipient(fixtures: Fixtures) -> None:
    ada, grace, other = fixtures.accounts(3)
    first = fixtures.message(grace)
    reply = fixtures.message(ada)
    third = fixtures.message(grace)
    to_two = fixtures.message(grace, other)
    for message, sender in ((first, ada), (reply, grace), (third, ada), (to_two, ada)):
        attest(fixtures, message, sender)
    age(fixtures, first, timedelta(days=40))

    known, least = past_of(fixtures, third), past_of(fixtures, to_two)

    assert (1, 40, 40, 1, 1, False) == values(
        known, "sender.messages sender.days pair.days pair.wrote pair.replies pair.is_first"
    )
    assert (2, UNKNOWN, 0, 0, True, 1) == values(
        least, "sender.messages pair.days pair.wrote pair.replies pair.is_first pair.unknown_recipients"
    )


def test_a_claimed_address_has_no_good_past(fixtures: Fixtures) -> None:
    grace = fixtures.account()
    fixtures.message(grace, sender_email="ada@example.com")
    second = fixtures.message(grace, sender_email="ADA@example.com")

    past = past_of(fixtures, second)

    assert (1, 0, UNKNOWN, 0, True) == values(past, "sender.messages sender.days pair.days pair.wrote pair.is_first")


@pytest.mark.parametrize(("days", "expected"), [(0, (1, 1)), (2, (0, 0))])
def test_repetitions_count_for_a_day(fixtures: Fixtures, days: int, expected: tuple[int, int]) -> None:
    earlier = [
        fixtures.message(fixtures.account(), sender_email=sender) for sender in ("ada@example.com", "bob@example.com")
    ]
    for message in earlier:
        fixtures.run_sql(f"UPDATE message SET text_key = {key('Hello')} WHERE id = '{message}'")
        age(fixtures, message, timedelta(days=days))
    message = fixtures.message(fixtures.account(), sender_email="ada@example.com")

    past = past_of(fixtures, message)

    assert expected == (past["repetition.by_sender"], past["repetition.by_others"])


def test_messages_of_a_time_are_found_a_page_at_a_time(fixtures: Fixtures) -> None:
    messages = [fixtures.message(fixtures.account()) for _ in range(5)]
    age(fixtures, messages[0], timedelta(days=3))
    now = datetime.now(UTC) + timedelta(minutes=1)
    pages, after = [], past_messages.BEGINNING
    with transaction(fixtures.database) as db:
        while page := past_messages.ids_between(db, now - timedelta(days=1), now, after=after, limit=3):
            pages.append(page)
            after = page[-1]

    assert [messages[1:4], messages[4:]] == pages
