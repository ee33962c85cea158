"""The API on a real database: sending and reading messages, credentials, inboxes and health."""

import json
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from uuid import UUID

import httpx2
import pytest
from redis import Redis
from uuid_utils.compat import uuid7

from delivery.records.migrate import newest_revision
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.settings import Settings
from delivery.vocabulary import AccountStatus, Channel, QueueName, Reason, Scope
from tasks.context import StepContext
from tasks.steps.review import decide_case
from tests.steps.conftest import HELD_PHRASE
from tests.support.api_client import Headers, key_of, post, status_of
from tests.support.build import APPROVED
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender
from tests.support.waiting import wait_until


@pytest.mark.usefixtures("working")
def test_a_sent_message_answers_with_the_verdict(overdue: httpx2.Client, fixtures: Fixtures, key: Headers) -> None:
    account_id = fixtures.account()

    answer = post(overdue, key, account_id)

    message_id = answer.json()["meta"]["message_uuid"]
    meta = {
        "status": "sent",
        "status_message": "Delivered to all recipients.",
        "status_reason": "delivered",
        "message_uuid": message_id,
    }
    assert (201, {"success": 1, "meta": meta, "data": None}) == (answer.status_code, answer.json())
    assert f"/messages/{message_id}" == answer.headers["Location"]
    assert [UUID(message_id)] == fixtures.inbox(account_id)


@pytest.mark.usefixtures("working")
def test_failed_recipients_are_named_when_others_did_not_fail(
    overdue: httpx2.Client, fixtures: Fixtures, key: Headers
) -> None:
    closed, good, bad = fixtures.account(is_closed=True), fixtures.account(), fixtures.account(accepted_types=())

    answer = post(overdue, key, closed, good, bad)

    meta = answer.json()["meta"]
    assert ("sent", "delivered_in_part") == (meta["status"], meta["status_reason"])
    assert [str(closed), str(bad)] == meta["failed_recipients"]


@pytest.mark.usefixtures("working")
def test_no_recipient_is_named_when_all_failed(overdue: httpx2.Client, fixtures: Fixtures, key: Headers) -> None:
    meta = post(overdue, key, fixtures.account(is_closed=True)).json()["meta"]

    assert ("rejected", "blocked_by_preferences") == (meta["status"], meta["status_reason"])
    assert "failed_recipients" not in meta


@pytest.mark.usefixtures("working")
def test_a_flagged_message_is_pending_until_staff_approve_it(
    overdue: httpx2.Client, fixtures: Fixtures, key: Headers, context: StepContext
) -> None:
    answer = post(overdue, key, fixtures.account(), fixtures.account(is_closed=True), subject=HELD_PHRASE)
    meta = answer.json()["meta"]
    wait_until(lambda: fixtures.count("vetting_case") == 1)

    decide_case(context, UUID(meta["message_vetting_id"]), APPROVED)

    later = overdue.get(answer.headers["Location"], headers=key).json()["meta"]
    assert ("pending", "in_review", 1) == (meta["status"], meta["status_reason"], len(meta["failed_recipients"]))
    assert ("sent", meta["message_vetting_id"]) == (later["status"], later["message_vetting_id"])


@pytest.mark.usefixtures("working")
def test_a_mail_that_must_be_tried_again_is_in_delivery(
    overdue: httpx2.Client, fixtures: Fixtures, key: Headers, relay: RecordingSender
) -> None:
    relay.answer = lambda _: Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, "451 a secret of the relay")
    answer = post(overdue, key, fixtures.account(Channel.EMAIL))

    read = overdue.get(answer.headers["Location"], headers=key)

    (recipient,) = read.json()["data"]["recipients"]
    assert ("pending", "in_delivery") == status_of(answer) == status_of(read)
    assert ("retrying", "try_later", 1, "email") == (
        recipient["state"],
        recipient["reason"],
        recipient["attempts"],
        recipient["channel"],
    )
    assert recipient["next_attempt_at"] is not None
    assert "secret" not in read.text
    assert "time_sent" not in read.json()["data"]


@pytest.mark.parametrize("prefix", ["", "/v2"])
def test_every_path_answers_bare_and_below_v2(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, prefix: str
) -> None:
    answer = post(http, key, fixtures.account(), prefix=prefix, prefer="respond-async")

    location = answer.headers["Location"]
    assert location == f"{prefix}/messages/{answer.json()['meta']['message_uuid']}"
    assert 200 == http.get(location, headers=key).status_code


def test_a_message_is_read_as_it_was_sent(http: httpx2.Client, fixtures: Fixtures, key: Headers) -> None:
    first, second = fixtures.accounts(2)
    sent = {"sender_name": " Grace ", "sender_email": "g@example.com", "subject": "Ü", "body": "a\r\nb", "type": "rfq"}
    answer = post(http, key, second, first, prefer="respond-async", **sent)

    data = http.get(answer.headers["Location"], headers=key).json()["data"]

    assert sent == {name: data[name] for name in sent}
    assert [str(second), str(first)] == data["recipient_uuids"] == [each["uuid"] for each in data["recipients"]]
    assert ("pending", "pending") == (data["status"], data["status_code"])


def test_without_a_worker_the_answer_is_pending_when_the_wait_is_over(
    http: httpx2.Client, fixtures: Fixtures, key: Headers
) -> None:
    began = monotonic()

    answer = post(http, key, fixtures.account(), prefer="wait=1")

    assert ("pending", "in_delivery") == status_of(answer)
    assert 0.9 < monotonic() - began < 2.0


def test_a_message_rings_for_its_decision(http: httpx2.Client, fixtures: Fixtures, key: Headers, broker: Redis) -> None:
    post(http, key, fixtures.account(), prefer="wait=1")

    assert 1 == broker.llen(QueueName.DECIDE)


def test_each_of_many_concurrent_messages_gets_its_own_answer(
    http: httpx2.Client, fixtures: Fixtures, key: Headers
) -> None:
    account_ids = [fixtures.account() if i % 3 else uuid7() for i in range(60)]

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda each: post(http, key, each, prefer="respond-async"), account_ids))

    assert [201 if i % 3 else 400 for i in range(60)] == [answer.status_code for answer in answers]
    assert 40 == fixtures.count("message")


@pytest.mark.parametrize("status", [AccountStatus.CLOSED, AccountStatus.SUSPENDED, None])
def test_unknown_closed_and_suspended_accounts_get_the_same_answer(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, status: AccountStatus | None
) -> None:
    unavailable = uuid7() if status is None else fixtures.account(status=status)

    answer = post(http, key, fixtures.account(), unavailable)

    (fault,) = answer.json()["errors"]
    assert (400, 0) == (answer.status_code, answer.json()["success"])
    assert ("recipient_uuids[1]", "unknown_recipient") == (fault["field"], fault["code"])
    assert [fault["message"]] == answer.json()["error_messages"]
    assert 0 == fixtures.count("message")


def test_unknown_recipients_are_counted_by_their_place_in_the_request(
    http: httpx2.Client, fixtures: Fixtures, key: Headers
) -> None:
    known, unknown = fixtures.account(), uuid7()

    answer = post(http, key, known, known, unknown)

    assert ["recipient_uuids[2]"] == [fault["field"] for fault in answer.json()["errors"]]


@pytest.mark.parametrize("name", ["X-Proz-API-Key", "X-API-Key", "x-api-key"])
def test_a_key_counts_in_either_header(http: httpx2.Client, key: Headers, name: str) -> None:
    (text,) = key.values()

    assert 404 == http.get(f"/messages/{uuid7()}", headers={name: text}).status_code


def test_a_request_without_a_key_is_refused(http: httpx2.Client, fixtures: Fixtures) -> None:
    answer = post(http, {}, fixtures.account())

    assert (401, "unauthorized") == (answer.status_code, answer.json()["error"])
    assert 'Bearer realm="Service"' == answer.headers["WWW-Authenticate"]
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]


@pytest.mark.parametrize("change", ["secret", "prefix", "form", "revoked"])
def test_a_wrong_key_is_refused_whatever_is_wrong_with_it(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, change: str
) -> None:
    (text,) = key.values()
    wrong = {"secret": f"{text[:-5]}AAAAA", "prefix": f"pk_{'0' * 16}{text[19:]}", "form": "nonsense"}.get(change, text)
    if change == "revoked":
        fixtures.run_sql("UPDATE credential SET revoked_at = clock_timestamp()")

    answer = post(http, {"X-API-Key": wrong}, fixtures.account())

    assert (401, "invalid_api_key", ["Invalid API key."]) == (
        answer.status_code,
        answer.json()["error"],
        answer.json()["error_messages"],
    )


def test_a_key_without_the_scope_is_forbidden(http: httpx2.Client, fixtures: Fixtures, settings: Settings) -> None:
    reader = key_of(fixtures, settings, fixtures.client(scopes=[Scope.MESSAGE_READ]))

    answer = post(http, reader, fixtures.account())

    assert (403, "insufficient_scope") == (answer.status_code, answer.json()["error"])
    assert 'scope="message.send"' in answer.headers["WWW-Authenticate"]
    assert 0 == fixtures.count("message")


def test_the_message_of_another_client_gets_the_answer_of_an_unknown_one(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, settings: Settings
) -> None:
    location = post(http, key, fixtures.account(), prefer="respond-async").headers["Location"]
    other_key = key_of(fixtures, settings, fixtures.client())

    answers = [http.get(path, headers=other_key) for path in (location, f"/messages/{uuid7()}", "/messages/nonsense")]

    assert [404, 404, 404] == [answer.status_code for answer in answers]
    assert 1 == len({json.dumps({**answer.json(), "request_id": ""}) for answer in answers})


@pytest.mark.usefixtures("working")
def test_an_inbox_is_read_page_by_page(overdue: httpx2.Client, fixtures: Fixtures, key: Headers) -> None:
    account_id = fixtures.account()
    sent = [post(overdue, key, account_id).json()["meta"]["message_uuid"] for _ in range(5)]

    read, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = overdue.get(f"/accounts/{account_id}/inbox", headers=key, params=query).json()
        read += [entry["message_uuid"] for entry in page["data"]]
        cursor = page["meta"].get("next_cursor")
        if cursor is None:
            break

        assert "=" not in cursor  # Some programs lose the padding of base64.

    assert sent[::-1] == read


@pytest.mark.parametrize("cursor", ["nonsense", "", "MjAyNi0wMS0wMSA3", "OTk5OTk=", "4oKs"])
def test_a_cursor_that_the_api_did_not_issue_is_an_invalid_value(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, cursor: str
) -> None:
    answer = http.get(f"/accounts/{fixtures.account()}/inbox", headers=key, params={"cursor": cursor})

    assert (400, "invalid_value") == (answer.status_code, answer.json()["errors"][0]["code"])


def test_a_healthy_postroom_is_alive_and_ready(http: httpx2.Client) -> None:
    alive, ready = http.get("/healthz"), http.get("/readyz")

    assert (200, {"status": "alive"}) == (alive.status_code, alive.json())
    assert (200, {"status": "ready", "database": "ok", "broker": "ok"}) == (ready.status_code, ready.json())


@pytest.mark.parametrize(
    ("revision", "answered"), [(None, (503, "schema_not_current")), ("of a later version", (200, "ok"))]
)
def test_the_api_is_ready_on_the_schema_of_its_version_or_a_later_one(
    http: httpx2.Client, fixtures: Fixtures, revision: str | None, answered: tuple[int, str]
) -> None:
    fixtures.run_sql("DELETE FROM alembic_version")
    if revision:
        fixtures.run_sql("INSERT INTO alembic_version VALUES (:revision)", revision=revision)
    try:
        answer = http.get("/readyz")
    finally:
        fixtures.run_sql("DELETE FROM alembic_version")
        fixtures.run_sql("INSERT INTO alembic_version VALUES (:newest)", newest=newest_revision())

    assert answered == (answer.status_code, answer.json()["database"])
