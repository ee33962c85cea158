"""Sending within a caller's own transaction: committed or rolled back with everything else that the caller does."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
import pytest

from delivery.intake.errors import InvalidInput
from delivery.records.database import transaction
from delivery.records.pipeline import due
from delivery.settings import Settings
from delivery.transactional_send import send_in
from delivery.vocabulary import State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.support.direct_sends import fields
from tests.support.fixtures import Book


@pytest.fixture
def connection(settings: Settings, book: Book) -> Iterator[psycopg.Connection[Any]]:
    """Give a psycopg connection of a program of its own, which keeps its business in a table of its own."""
    book.ask("CREATE TABLE business (note text)")
    url = settings.database_url.get_secret_value().replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as connection:
        yield connection
        connection.rollback()
    book.ask("DROP TABLE business")


def test_a_message_is_written_with_the_callers_own_business(book: Book, connection: psycopg.Connection[Any]) -> None:
    sent = fields(*book.accounts(2))

    connection.execute("INSERT INTO business VALUES ('an order')")
    message_id = send_in(connection, sent, client_id=book.client_id)
    before = (book.count("message"), book.count("business"))
    connection.commit()

    assert ((0, 0), 1, UUID(sent["message_uuid"])) == (before, book.count("business"), message_id)
    assert [State.ACCEPTED] * 2 == book.states(message_id)


def test_a_message_is_rolled_back_with_the_callers_own_business(
    book: Book, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("INSERT INTO business VALUES ('an order')")
    send_in(connection, fields(book.account()), client_id=book.client_id)

    connection.rollback()

    assert (0, 0) == (book.count("message"), book.count("business"))


def test_a_connection_of_sqlalchemy_does_as_well(book: Book) -> None:
    sent = fields(book.account())

    with transaction(book.database) as db:
        message_id = send_in(db, sent, client_id=book.client_id)
        assert db.in_transaction()
    with book.database.connect() as rolled_back:
        send_in(rolled_back, fields(book.account()), client_id=book.client_id)

    assert [message_id] == [row.id for row in book.ask("SELECT id FROM message")]


def test_without_a_bell_the_sweep_finds_it_at_once(
    book: Book, connection: psycopg.Connection[Any], context: StepContext
) -> None:
    message_id = send_in(connection, fields(book.account()), client_id=book.client_id)
    ringing = send_in(connection, fields(book.account()), client_id=book.client_id, grace=timedelta(seconds=5))
    connection.commit()

    with transaction(book.database) as db:
        found = due.undecided(db, limit=10)
    decide(context, found)

    assert ([message_id], [State.DELIVERED]) == (list(found), book.states(message_id))
    assert [State.ACCEPTED] == book.states(ringing)


def test_the_same_again_changes_nothing_whether_it_was_committed_or_not(
    book: Book, connection: psycopg.Connection[Any]
) -> None:
    sent = fields(book.account())

    for is_committed in (False, True, False):
        assert UUID(sent["message_uuid"]) == send_in(connection, sent, client_id=book.client_id)
        if is_committed:
            connection.commit()

    assert (1, 1) == (book.count("message"), book.count("recipient"))


@pytest.mark.parametrize("change", [{"subject": "another"}, {}], ids=["other content", "another client"])
def test_an_id_that_was_used_is_refused(
    book: Book, connection: psycopg.Connection[Any], change: dict[str, str]
) -> None:
    sent = fields(book.account())
    send_in(connection, sent, client_id=book.client_id)
    sender = book.client_id if change else book.client()

    with pytest.raises(InvalidInput) as refused:
        send_in(connection, {**sent, **change}, client_id=sender)

    assert ["message_uuid_reused"] == [fault.code for fault in refused.value.faults]


def test_a_refusal_leaves_the_callers_transaction_as_it_was(book: Book, connection: psycopg.Connection[Any]) -> None:
    known, stranger = book.account(), uuid4()
    connection.execute("INSERT INTO business VALUES ('an order')")

    refusals = []
    for sent, client_id in (
        (fields(known, stranger), book.client_id),
        (fields(known, body="", sender_name=None), book.client_id),
        (fields(known), uuid4()),
    ):
        with pytest.raises(InvalidInput) as refused:
            send_in(connection, sent, client_id=client_id)
        refusals.append([(fault.place, fault.code) for fault in refused.value.faults])
    connection.commit()

    assert [
        [("recipient_uuids[1]", "unknown_recipient")],
        [("body", "blank"), ("sender_name", "required")],
        [("client_id", "invalid_value")],
    ] == refusals
    assert (0, 1) == (book.count("message"), book.count("business"))


def test_what_is_no_connection_is_refused(book: Book) -> None:
    with pytest.raises(TypeError, match="psycopg"):
        send_in(cast(object, book.database), fields(book.account()), client_id=book.client_id)


def test_the_callers_connection_is_left_as_it_was_set_up(book: Book, connection: psycopg.Connection[Any]) -> None:
    connection.row_factory = psycopg.rows.dict_row
    send_in(connection, fields(book.account()), client_id=book.client_id)

    row = connection.execute("SELECT 1 AS one").fetchone()

    assert {"one": 1} == row
    assert 1 == connection.execute("SELECT count(*) AS messages FROM message").fetchone()["messages"]  # type: ignore[index]
