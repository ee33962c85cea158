"""A dry run makes all checks of a message and answers what would become of it. Nothing is stored or delivered."""

from datetime import time
from typing import Any
from uuid import UUID

import httpx2
import pytest
from redis import Redis
from uuid_utils.compat import uuid7

from delivery.vocabulary import Channel, QueueName
from tests.steps.conftest import HELD_PHRASE
from tests.support.api_client import Headers
from tests.support.fixtures import Fixtures

FIELDS = {"sender_name": "Ada", "subject": "Hello", "body": "Hi"}


def dry_run(
    http: httpx2.Client, key: Headers, *account_ids: UUID, value: str = "true", **chosen: Any
) -> httpx2.Response:
    """Ask what would become of a message."""
    fields = {**FIELDS, "recipient_uuids": [str(each) for each in account_ids], **chosen}
    return http.post(f"/messages?dry_run={value}", json=fields, headers=key)


def test_each_recipient_is_shown_as_it_would_be_and_nothing_is_stored(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, broker: Redis
) -> None:
    inbox, closed, email = fixtures.account(), fixtures.account(is_closed=True), fixtures.account(Channel.EMAIL)
    quiet = fixtures.account(Channel.EMAIL, quiet_hours=(time(0), time(23, 59, 59)))

    answer = dry_run(http, key, inbox, closed, email, quiet, subject=HELD_PHRASE)

    meta, data = answer.json()["meta"], answer.json()["data"]
    assert 200 == answer.status_code
    assert "location" not in answer.headers
    assert {
        "dry_run": True,
        "vetting": "not_evaluated",
        "status": "sent",
        "status_message": meta["status_message"],
        "failed_recipients": [str(closed)],
        "status_reason": "delivered_in_part",
    } == meta
    assert ["delivered", "blocked", "queued", "retrying"] == [each["state"] for each in data["recipients"]]
    assert [str(inbox), str(closed), str(email), str(quiet)] == [each["uuid"] for each in data["recipients"]]
    assert [None, "blocked_by_preferences", None] == [each["reason"] for each in data["recipients"][:3]]
    assert 0 == fixtures.count("message") == broker.llen(QueueName.DECIDE)


def test_unknown_recipients_and_faults_are_those_of_a_real_send(
    http: httpx2.Client, fixtures: Fixtures, key: Headers
) -> None:
    unknown = dry_run(http, key, fixtures.account(), uuid7())
    faulty = dry_run(http, key, fixtures.account(), body="")

    assert [("recipient_uuids[1]", "unknown_recipient")] == [
        (each["field"], each["code"]) for each in unknown.json()["errors"]
    ]
    assert [("body", "blank")] == [(each["field"], each["code"]) for each in faulty.json()["errors"]]


@pytest.mark.parametrize("value", ["yes", "", "TRUE", "true&dry_run=true"])
def test_another_value_is_refused_and_nothing_is_sent(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, value: str
) -> None:
    answer = dry_run(http, key, fixtures.account(), value=value)

    assert [("dry_run", "invalid_value")] == [(each["field"], each["code"]) for each in answer.json()["errors"]]
    assert 0 == fixtures.count("message")


def test_false_sends_the_message(http: httpx2.Client, fixtures: Fixtures, key: Headers) -> None:
    answer = dry_run(http, {**key, "Prefer": "respond-async"}, fixtures.account(), value="false")

    assert (201, 1) == (answer.status_code, fixtures.count("message"))


def test_a_dry_run_leaves_an_idempotency_key_unused(http: httpx2.Client, fixtures: Fixtures, key: Headers) -> None:
    headers, account_id = {**key, "Idempotency-Key": "once", "Prefer": "respond-async"}, fixtures.account()

    assert 200 == dry_run(http, headers, account_id).status_code
    assert 201 == dry_run(http, headers, account_id, value="false", body="Other words").status_code


@pytest.mark.parametrize("value", ["true", "false"])
def test_fields_that_do_nothing_are_named(http: httpx2.Client, fixtures: Fixtures, key: Headers, value: str) -> None:
    headers, chosen = {**key, "Prefer": "respond-async"}, {"html": "<b>", "cc": ["x"], "unknown": 1}

    with_them = dry_run(http, headers, fixtures.account(), value=value, **chosen).json()["meta"]
    without = dry_run(http, headers, fixtures.account(), value=value).json()["meta"]

    assert ["cc", "html"] == with_them["ignored_fields"]
    assert "ignored_fields" not in without
