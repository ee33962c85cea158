"""A message sent in a caller's own transaction is committed or rolled back with it."""

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
from tests.support.fixtures import Fixtures


@pytest.fixture
def connection(settings: Settings, fixtures: Fixtures) -> Iterator[psycopg.Connection[Any]]:
    """Yield the psycopg connection of another program, which has a table of its own."""
    fixtures.run_sql("CREATE TABLE business (note text)")
    url = settings.database_url.get_secret_value().replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as connection:
        yield connection
        connection.rollback()
    fixtures.run_sql("DROP TABLE business")


def test_a_message_is_committed_with_the_callers_own_rows(
    fixtures: Fixtures, connection: psycopg.Connection[Any]
) -> None:
    sent = fields(*fixtures.accounts(2))

    connection.execute("INSERT INTO business VALUES ('an order')")
    message_id = send_in(connection, sent, client_id=fixtures.client_id)
    before = (fixtures.count("message"), fixtures.count("business"))
    connection.commit()

    assert ((0, 0), 1, UUID(sent["message_uuid"])) == (before, fixtures.count("business"), message_id)
    assert [State.ACCEPTED] * 2 == fixtures.states(message_id)


def test_a_message_is_rolled_back_with_the_callers_own_rows(
    fixtures: Fixtures, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("INSERT INTO business VALUES ('an order')")
    send_in(connection, fields(fixtures.account()), client_id=fixtures.client_id)

    connection.rollback()

    assert (0, 0) == (fixtures.count("message"), fixtures.count("business"))


def test_a_connection_of_sqlalchemy_works_too(fixtures: Fixtures) -> None:
    sent = fields(fixtures.account())

    with transaction(fixtures.database) as db:
        message_id = send_in(db, sent, client_id=fixtures.client_id)
        assert db.in_transaction()
    with fixtures.database.connect() as rolled_back:
        send_in(rolled_back, fields(fixtures.account()), client_id=fixtures.client_id)

    assert [message_id] == [row.id for row in fixtures.run_sql("SELECT id FROM message")]


def test_without_a_grace_the_sweep_finds_a_message_at_once(
    fixtures: Fixtures, connection: psycopg.Connection[Any], context: StepContext
) -> None:
    message_id = send_in(connection, fields(fixtures.account()), client_id=fixtures.client_id)
    with_grace = send_in(
        connection, fields(fixtures.account()), client_id=fixtures.client_id, grace=timedelta(seconds=5)
    )
    connection.commit()

    with transaction(fixtures.database) as db:
        found = due.undecided(db, limit=10)
    decide(context, found)

    assert ([message_id], [State.DELIVERED]) == (list(found), fixtures.states(message_id))
    assert [State.ACCEPTED] == fixtures.states(with_grace)


def test_sending_the_same_again_changes_nothing_before_and_after_the_commit(
    fixtures: Fixtures, connection: psycopg.Connection[Any]
) -> None:
    sent = fields(fixtures.account())

    for is_committed in (False, True, False):
        assert UUID(sent["message_uuid"]) == send_in(connection, sent, client_id=fixtures.client_id)
        if is_committed:
            connection.commit()

    assert (1, 1) == (fixtures.count("message"), fixtures.count("recipient"))


@pytest.mark.parametrize("change", [{"subject": "another"}, {}], ids=["other content", "another client"])
def test_a_used_id_is_refused(fixtures: Fixtures, connection: psycopg.Connection[Any], change: dict[str, str]) -> None:
    sent = fields(fixtures.account())
    send_in(connection, sent, client_id=fixtures.client_id)
    sender = fixtures.client_id if change else fixtures.client()

    with pytest.raises(InvalidInput) as refused:
        send_in(connection, {**sent, **change}, client_id=sender)

    assert ["message_uuid_reused"] == [fault.code for fault in refused.value.faults]


def test_a_refusal_does_not_change_the_callers_transaction(
    fixtures: Fixtures, connection: psycopg.Connection[Any]
) -> None:
    known_id, unknown_id = fixtures.account(), uuid4()
    connection.execute("INSERT INTO business VALUES ('an order')")

    refusals = []
    for sent, client_id in (
        (fields(known_id, unknown_id), fixtures.client_id),
        (fields(known_id, body="", sender_name=None), fixtures.client_id),
        (fields(known_id), uuid4()),
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
    assert (0, 1) == (fixtures.count("message"), fixtures.count("business"))


def test_an_object_that_is_not_a_connection_is_refused(fixtures: Fixtures) -> None:
    with pytest.raises(TypeError, match="psycopg"):
        send_in(cast(object, fixtures.database), fields(fixtures.account()), client_id=fixtures.client_id)


def test_the_settings_of_the_callers_connection_are_kept(
    fixtures: Fixtures, connection: psycopg.Connection[Any]
) -> None:
    connection.row_factory = psycopg.rows.dict_row
    send_in(connection, fields(fixtures.account()), client_id=fixtures.client_id)

    row = connection.execute("SELECT 1 AS one").fetchone()

    assert {"one": 1} == row
    assert 1 == connection.execute("SELECT count(*) AS messages FROM message").fetchone()["messages"]  # type: ignore[index]
