"""A client may attest the account of a message's sender; what rules learn about the pair rests on it."""

from uuid import UUID

import httpx2
import pytest
from uuid_utils.compat import uuid7

from delivery.intake.errors import InvalidInput
from delivery.records.database import transaction
from delivery.records.rule_sets import history
from delivery.transactional_send import send_in
from delivery.vocabulary import AccountStatus
from tests.support.api_client import Headers, post
from tests.support.fixtures import Fixtures


def test_an_attested_sender_is_stored_and_gives_the_pair_a_past(
    http: httpx2.Client, fixtures: Fixtures, key: Headers
) -> None:
    ada, grace = fixtures.accounts(2)

    first = post(http, key, grace, prefer="respond-async", sender_account_uuid=str(ada))
    second = post(http, key, grace, prefer="respond-async", sender_account_uuid=str(ada).upper())

    assert [201, 201] == [first.status_code, second.status_code]
    message_id = UUID(second.json()["meta"]["message_uuid"])
    with transaction(fixtures.database) as db:
        past = history.histories(db, {message_id: 0})[message_id]
    assert (1, False) == (past["pair.wrote"], past["pair.is_first"])


@pytest.mark.parametrize("status", [None, AccountStatus.CLOSED, AccountStatus.SUSPENDED])
def test_an_unknown_sender_is_a_fault_beside_unknown_recipients(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, status: AccountStatus | None
) -> None:
    sender = fixtures.account(status=status) if status else uuid7()

    answer = post(http, key, fixtures.account(), uuid7(), prefer="respond-async", sender_account_uuid=str(sender))

    assert [("recipient_uuids[1]", "unknown_recipient"), ("sender_account_uuid", "unknown_sender")] == [
        (each["field"], each["code"]) for each in answer.json()["errors"]
    ]
    assert 0 == fixtures.count("message")


@pytest.mark.parametrize(("value", "code"), [("x", "invalid_uuid"), (7, "wrong_type"), (["a"], "wrong_type")])
def test_what_is_no_uuid_is_a_fault(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, value: object, code: str
) -> None:
    answer = post(http, key, fixtures.account(), sender_account_uuid=value)

    assert [("sender_account_uuid", code)] == [(each["field"], each["code"]) for each in answer.json()["errors"]]


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_sender_is_none(http: httpx2.Client, fixtures: Fixtures, key: Headers, value: object) -> None:
    assert 201 == post(http, key, fixtures.account(), prefer="respond-async", sender_account_uuid=value).status_code


def test_the_sender_is_part_of_what_a_repetition_is_compared_by(
    http: httpx2.Client, fixtures: Fixtures, key: Headers
) -> None:
    ada, grace = fixtures.accounts(2)
    headers = {"Idempotency-Key": "once", **key}
    attested = {"sender_account_uuid": str(ada)}

    statuses = [post(http, headers, grace, prefer="respond-async", **each).status_code for each in ({}, {}, attested)]

    assert [201, 201, 422] == statuses


def test_a_direct_send_with_an_unknown_sender_is_refused(fixtures: Fixtures) -> None:
    fields = {
        "message_uuid": str(uuid7()),
        "recipient_uuids": [str(fixtures.account())],
        "sender_name": "Ada",
        "subject": "Hello",
        "body": "Hi",
        "sender_account_uuid": str(uuid7()),
    }

    with transaction(fixtures.database) as db, pytest.raises(InvalidInput) as refused:
        send_in(db, fields, client_id=fixtures.client_id)

    assert ["unknown_sender"] == [each.code for each in refused.value.faults]
