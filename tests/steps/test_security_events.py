"""Security events: credentials, changed addresses and staff's decisions are recorded, and no record can be changed."""

import json
import os
import pwd
import socket
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from delivery.records.database import transaction
from delivery.records.identities import credentials
from delivery.records.identities.security_events import EventFilter, EventView, SecurityEvent, latest, record
from delivery.settings import Settings
from delivery.unsubscribe_tokens import digest_address
from delivery.vocabulary import Channel, SecurityEventKind
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.fixtures import Fixtures
from worker.cli.app import app

Run = Callable[..., Any]
OPERATOR = f"operator {pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
EVENT = SecurityEvent(SecurityEventKind.CLIENT_CREATED, "operator")


@pytest.fixture
def run(command: Run) -> Run:
    """Return the command `postroom`."""
    return partial(command, app)


def events(fixtures: Fixtures) -> list[EventView]:
    """Return all events, oldest first."""
    with transaction(fixtures.database) as db:
        return latest(db, EventFilter(), 100)[::-1]


def kinds(fixtures: Fixtures) -> list[str]:
    """Return the kinds of all events, oldest first."""
    return [each.kind for each in events(fixtures)]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE security_event SET actor = 'x'", "DELETE FROM security_event", "TRUNCATE security_event"],
)
def test_an_event_is_never_changed_or_deleted(fixtures: Fixtures, statement: str) -> None:
    with transaction(fixtures.database) as db:
        record(db, EVENT)

    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction(fixtures.database) as db:
        db.execute(text(statement))

    assert ["client_created"] == kinds(fixtures)


def test_the_life_of_a_key_is_recorded(run: Run, fixtures: Fixtures) -> None:
    created = run("clients", "create", "Shop", "--scope", "message.send").output
    prefix = next(word for word in created.split() if word.startswith("pk_"))[:19]
    with transaction(fixtures.database) as db:
        first = credentials.record_use(db, [prefix])
        second = credentials.record_use(db, [prefix])
    run("clients", "rotate", "Shop")
    run("clients", "add-key", "Shop", "--kind", "client_secret")
    run("clients", "revoke", prefix)
    run("clients", "revoke", "Shop")

    found = events(fixtures)
    assert [
        ("client_created", None),
        ("credential_created", prefix),
        ("credential_first_used", prefix),
        ("credentials_replaced", None),
    ] == [(each.kind, each.subject) for each in found[:4]]
    assert ["credential_created", "credential_created", "credential_revoked", "credentials_revoked"] == [
        each.kind for each in found[4:]
    ]
    assert ([prefix], {}) == (list(first), second)
    assert 1 == len({each.client_id for each in found})
    assert {OPERATOR, f"client {found[0].client_id}"} == {each.actor for each in found}


def test_no_secret_is_recorded(run: Run, fixtures: Fixtures) -> None:
    created = run("clients", "create", "Shop", "--scope", "message.send").output
    secret = next(word for word in created.split() if word.startswith("pk_"))[20:]

    recorded = fixtures.run_sql("SELECT security_event::text AS row FROM security_event")

    assert [] == [each.row for each in recorded if secret in each.row]


def test_a_link_to_the_issuer_and_its_end_are_recorded(run: Run, fixtures: Fixtures) -> None:
    run("clients", "trust-issuer", str(fixtures.client_id))
    run("clients", "trust-issuer", str(fixtures.client_id), "--stop")

    assert ["issuer_linked", "issuer_unlinked"] == kinds(fixtures)


def test_an_address_that_an_import_replaces_is_recorded_as_digests(
    import_file: Run, fixtures: Fixtures, settings: Settings
) -> None:
    account_id, other = fixtures.account(email="old@example.com"), fixtures.account(email="same@example.com")
    rows = f"{account_id},Ada,new@example.com\n{other},Ada,same@example.com\n{UUID(int=5)},Ada,first@example.com\n"

    import_file(f"uuid,name,email\n{rows}")

    (event,) = events(fixtures)
    assert ("address_changed", str(account_id), OPERATOR) == (event.kind, event.subject, event.actor)
    digests = {name: digest_address(f"{name}@example.com", settings.pepper).hex() for name in ("old", "new")}
    assert digests == event.details


@pytest.mark.parametrize(("verb", "kind"), [("approve", "case_approved"), ("reject", "case_rejected")])
def test_a_decision_is_recorded_with_the_claimed_name_beside_the_user(
    run: Run, fixtures: Fixtures, context: StepContext, verb: str, kind: str
) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL), subject=HELD_PHRASE)
    decide(context, [message_id])
    vet(context, [message_id])
    case_id = str(fixtures.case(message_id).case_id)

    run("vetting", verb, case_id, "--as", "The Boss")

    (event,) = events(fixtures)
    assert (kind, case_id, OPERATOR, {"claimed_name": "The Boss"}) == (
        event.kind,
        event.subject,
        event.actor,
        event.details,
    )
    assert "by The Boss (as claimed)" in run("vetting", "show", case_id).output


def test_the_command_filters_by_client_kind_and_time(run: Run, fixtures: Fixtures) -> None:
    other = fixtures.client()
    with transaction(fixtures.database) as db:
        for client_id in (fixtures.client_id, other):
            record(db, SecurityEvent(SecurityEventKind.CLIENT_CREATED, "operator", client_id))
            record(db, SecurityEvent(SecurityEventKind.ISSUER_LINKED, "operator", client_id))

    def listed(*words: str) -> list[tuple[str, str]]:
        found = json.loads(run("security-log", "--json", *words).output)["events"]
        return [(each["kind"], each["client_id"]) for each in found]

    assert 4 == len(listed())
    assert [("issuer_linked", str(other)), ("client_created", str(other))] == listed("--client", str(other))
    assert [("issuer_linked", str(other))] == listed("--kind", "issuer_linked", "--limit", "1")
    assert (4, 0, 0) == (
        len(listed("--since", "1h")),
        len(listed("--before", "1h")),
        len(listed("--since", "2999-01-01")),
    )
    assert f"issuer_linked  by operator\n    client {other}" in run("security-log").output


@pytest.mark.parametrize("words", [("--since", "soon"), ("--since", "999999d"), ("--kind", "nothing")])
def test_a_filter_that_cannot_be_read_is_a_usage_error(run: Run, words: tuple[str, ...]) -> None:
    assert 2 == run("security-log", *words).exit_code
