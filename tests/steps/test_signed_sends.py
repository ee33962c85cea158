"""A signed direct send is stored as that of the client whose key signed it; anything else about it is refused."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from pydantic import SecretStr

from delivery.records.database import transaction
from delivery.records.identities import clients, credentials, direct_senders
from delivery.records.views.invariants import CheckScope
from delivery.settings import Settings
from delivery.signatures import sign, signature_of
from delivery.vocabulary import CredentialKind, Scope
from tasks.check_results import Severity
from tasks.context import StepContext
from tasks.health_checks import check
from tasks.steps.accept_direct import accept
from tests.support.direct_sends import codes, credential, envelope, fields, refusals, signing_key
from tests.support.fixtures import Fixtures

pytestmark = pytest.mark.usefixtures("broker")
Fields = dict[str, Any]


@pytest.fixture
def key(fixtures: Fixtures, settings: Settings) -> str:
    """Return a signing key of the client of this test."""
    return signing_key(fixtures, settings)


def issued(sent: Fields, key: str, issued_at: object) -> Fields:
    """Sign fields as if it were another time."""
    fresh = {**sent, "key_id": key[:19], "issued_at": issued_at}
    return {**fresh, "signature": signature_of(fresh, key)}


def days_from_now(days: float) -> str:
    """Return an instant as text."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def test_it_is_stored_once_however_often_it_arrives(fixtures: Fixtures, key: str, context: StepContext) -> None:
    sent = sign(fields(fixtures.account(), subject="Grüße 𝄞", body='\t"\\\r\n€'), key)

    for _ in range(3):
        accept(context, [envelope(sent)])

    assert (1, []) == (fixtures.count("message"), codes(fixtures))
    assert fixtures.client_id == fixtures.view(UUID(str(sent["message_uuid"]))).client_id


# What a program that reads and writes the broker could make of a signed send.
CHANGES: dict[str, Callable[[Fields], Fields]] = {
    "another text": lambda sent: {**sent, "subject": "another"},
    "another id": lambda sent: {**sent, "message_uuid": str(uuid4())},
    "a field more": lambda sent: {**sent, "sender_email": "eve@example.com"},
    "a field less": lambda sent: {name: value for name, value in sent.items() if name != "sender_name"},
    "a later time": lambda sent: {**sent, "issued_at": days_from_now(0)},
    "another key": lambda sent: {**sent, "key_id": "sg_" + "0" * 16},
    "a key that is none": lambda sent: {**sent, "key_id": "\x00"},
    "another signature": lambda sent: {**sent, "signature": "A" * 43},
    "no ASCII": lambda sent: {**sent, "signature": "\u2603"},
    "a number": lambda sent: {**sent, "extra": 7},
    "an object": lambda sent: {**sent, "extra": {"a": "b"}},
    "a list of numbers": lambda sent: {**sent, "extra": ["a", 7]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_makes_it_that_of_no_client(fixtures: Fixtures, key: str, context: StepContext, change: str) -> None:
    sent = sign(fields(fixtures.account()), key)

    accept(context, [envelope(CHANGES[change](sent))])

    assert ([["invalid_signature"]], 0) == (codes(fixtures), fixtures.count("message"))
    assert [None] == [each.client_id for each in refusals(fixtures)]


@pytest.mark.parametrize("missing", ["key_id", "issued_at", "signature"])
def test_a_part_of_the_signature_that_is_missing_is_named(
    fixtures: Fixtures, key: str, context: StepContext, missing: str
) -> None:
    sent = sign(fields(fixtures.account()), key)
    del sent[missing]

    accept(context, [envelope(sent)])

    (refusal,) = refusals(fixtures)
    assert [(missing, "required")] == [(fault["field"], fault["code"]) for fault in refusal.faults]


@pytest.mark.parametrize(
    ("days", "code"), [(-7.01, "expired_signature"), (0.01, "invalid_value"), (None, "invalid_value")]
)
def test_its_time_is_bounded_and_its_sender_sees_the_refusal(
    fixtures: Fixtures, key: str, context: StepContext, days: float | None, code: str
) -> None:
    issued_at = "yesterday" if days is None else days_from_now(days)

    accept(context, [envelope(issued(fields(fixtures.account()), key, issued_at))])

    assert ([[code]], 0) == (codes(fixtures), fixtures.count("message"))
    assert [fixtures.client_id] == [each.client_id for each in refusals(fixtures)]


def test_almost_seven_days_are_in_time(fixtures: Fixtures, key: str, context: StepContext) -> None:
    accept(context, [envelope(issued(fields(fixtures.account()), key, days_from_now(-6.99)))])

    assert 1 == fixtures.count("message")


def test_a_key_that_has_expired_or_has_no_right_to_send_is_named(
    fixtures: Fixtures, settings: Settings, context: StepContext
) -> None:
    expired = signing_key(fixtures, settings, lifetime=timedelta(seconds=-1))
    reading_only = signing_key(fixtures, settings, scopes=[Scope.MESSAGE_READ])

    for each in (expired, reading_only):
        accept(context, [envelope(sign(fields(fixtures.account()), each))])

    assert [["expired_key"], ["insufficient_scope"]] == codes(fixtures)


def test_a_revoked_key_signs_nothing_any_more(fixtures: Fixtures, key: str, context: StepContext) -> None:
    with transaction(fixtures.database) as db:
        credentials.revoke(db, key[:19])

    accept(context, [envelope(sign(fields(fixtures.account()), key))])

    assert [["invalid_signature"]] == codes(fixtures)


@pytest.mark.parametrize("sealing_key", [None, SecretStr("another key that seals, 32 characters")])
def test_with_another_sealing_key_nothing_is_taken_and_nothing_breaks(
    fixtures: Fixtures, key: str, context: StepContext, sealing_key: SecretStr | None
) -> None:
    changed = context.settings.model_copy(update={"sealing_key": sealing_key})

    accept(StepContext(changed, context.database, context.doorbell), [envelope(sign(fields(fixtures.account()), key))])

    assert [["invalid_signature"]] == codes(fixtures)


def test_the_text_of_a_key_is_not_in_the_database(fixtures: Fixtures, key: str) -> None:
    (row,) = fixtures.run_sql("SELECT * FROM credential WHERE kind = 'signing_key'")

    assert row.sealed
    assert key[20:].encode() not in b"".join([bytes(row.sealed), repr(tuple(row)).encode()])


def test_a_new_client_cannot_send_by_token(fixtures: Fixtures, settings: Settings, context: StepContext) -> None:
    token = credential(fixtures, settings.pepper)
    fixtures.run_sql("UPDATE client SET may_send_by_token = false")

    accept(context, [envelope(fields(fixtures.account(), token=token))])

    assert ([["token_not_taken"]], 0) == (codes(fixtures), fixtures.count("message"))


def test_after_the_last_day_no_token_is_taken(fixtures: Fixtures, token: str, context: StepContext) -> None:
    ended = context.settings.model_copy(update={"direct_tokens_until": date(2026, 1, 1)})

    accept(StepContext(ended, context.database, context.doorbell), [envelope(fields(fixtures.account(), token=token))])

    assert [["token_not_taken"]] == codes(fixtures)


def test_a_token_is_warned_of_once_an_hour_and_the_doctor_knows_its_client(
    fixtures: Fixtures, token: str, context: StepContext
) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            accept(context, [envelope(fields(fixtures.account(), token=token))])

    warned = [line["client_id"] for line in lines if line["event"] == "direct_send_by_token"]
    with transaction(fixtures.database) as db:
        assert ([str(fixtures.client_id)], [fixtures.client_id]) == (warned, direct_senders.clients_by_token(db))
    results = check(context.settings, fixtures.database, CheckScope(), timeout=timedelta(seconds=10))
    (result,) = [each for each in results if each.name == "direct sends are signed"]
    assert (Severity.WARNING, (str(fixtures.client_id),)) == (result.severity, result.rows)


def test_a_signing_key_opens_nothing_else(fixtures: Fixtures, key: str) -> None:
    with transaction(fixtures.database) as db:
        found = {kind: clients.find_credential(db, key[:19], kind) for kind in CredentialKind}

    assert [CredentialKind.SIGNING_KEY] == [kind for kind, each in found.items() if each is not None]
