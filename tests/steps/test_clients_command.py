"""`postroom clients` creates, lists and revokes clients and their keys."""

import json
import re
from collections.abc import Callable
from datetime import time
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from delivery.credentials import is_match, parse_credential
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.records.pipeline import vetting_cases
from delivery.settings import Settings
from delivery.vocabulary import CaseState, Channel, CredentialKind, Scope, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender
from worker.cli.clients import clients as commands

Run = Callable[..., Any]
SECRET = re.compile(r"(?:pk|cs|sg)_[0-9a-f]{16}_[\w-]{43}")


@pytest.fixture
def run(command: Run) -> Run:
    """Return the command `postroom clients`."""
    return partial(command, commands)


def secret_in(result: Any) -> str:
    """Return the one secret that a command printed."""
    assert 0 == result.exit_code, result.output
    (secret,) = SECRET.findall(result.output)
    return str(secret)


def list_clients(run: Run) -> list[dict[str, Any]]:
    """Return the clients of the JSON list, without the client that the fixtures always create."""
    found: list[dict[str, Any]] = json.loads(run("list", "--json").output)["clients"]
    return found[1:]


def is_valid(fixtures: Fixtures, settings: Settings, text: str, kind: CredentialKind = CredentialKind.API_KEY) -> bool:
    """Return whether a credential is accepted."""
    prefix, secret = parse_credential(text) or ("", "")
    with transaction(fixtures.database) as db:
        found = clients.find_credential(db, prefix, kind)
    return found is not None and is_match(secret, found.digest, settings.pepper)


def test_a_created_client_has_its_key_scopes_limits_and_expiry(
    run: Run, fixtures: Fixtures, settings: Settings
) -> None:
    words = ["Our shop", "--scope", "message.send", "--scope", "message.read", "--requests-per-minute", 5]

    key = secret_in(run("create", *words, "--recipients-per-minute", 50, "--expires-in-days", 30))

    (client,) = list_clients(run)
    assert is_valid(fixtures, settings, key)
    assert ("Our shop", ["message.send", "message.read"], 5, 50) == (
        client["name"],
        client["scopes"],
        client["requests_per_minute"],
        client["recipients_per_minute"],
    )
    (credential,) = client["credentials"]
    assert (key[:19], "api_key", None, True) == (
        credential["prefix"],
        credential["kind"],
        credential["last_used_at"],
        credential["is_alive"],
    )
    assert credential["expires_at"]


def test_another_key_can_have_fewer_scopes_and_leaves_the_first_key_valid(
    run: Run, fixtures: Fixtures, settings: Settings
) -> None:
    first = secret_in(run("create", "shop", "--scope", "message.send"))

    second = secret_in(run("add-key", "shop", "--kind", "client_secret", "--scope", "message.send"))

    assert is_valid(fixtures, settings, first)
    assert is_valid(fixtures, settings, second, CredentialKind.CLIENT_SECRET)
    assert [None, ["message.send"]] == [each["scopes"] for each in list_clients(run)[0]["credentials"]]


def test_rotation_makes_a_new_key_at_once_and_the_old_key_expires_later(
    run: Run, fixtures: Fixtures, settings: Settings
) -> None:
    old = secret_in(run("create", "shop", "--scope", "message.send"))

    rotated = run("rotate", "shop")

    assert is_valid(fixtures, settings, old)
    assert is_valid(fixtures, settings, secret_in(rotated))
    assert "The old API key can be used until " in rotated.output
    assert " UTC, which is in 1 day, or until an earlier end; " in rotated.output
    assert "in 23 hours" in run("list").output


def test_rotation_without_overlap_expires_the_old_key_at_once(run: Run, fixtures: Fixtures, settings: Settings) -> None:
    old = secret_in(run("create", "shop", "--scope", "message.send"))

    rotated = run("rotate", "shop", "--overlap-hours", 0)

    new = secret_in(rotated)
    assert "The old API key cannot be used any more" in rotated.output
    assert [False, True] == [is_valid(fixtures, settings, each) for each in (old, new)]


@pytest.mark.parametrize("written", [lambda key: key[:19], lambda key: key])
def test_a_key_is_revoked_by_its_prefix_or_its_whole_text(
    run: Run, fixtures: Fixtures, settings: Settings, written: Callable[[str], str]
) -> None:
    key = secret_in(run("create", "shop", "--scope", "message.send"))

    revoked, again = run("revoke", written(key)), run("revoke", written(key))

    assert (0, 1) == (revoked.exit_code, again.exit_code)
    assert not is_valid(fixtures, settings, key)
    assert not SECRET.search(revoked.output + again.output)


def test_all_keys_of_a_client_are_revoked(run: Run, fixtures: Fixtures, settings: Settings) -> None:
    keys = [secret_in(run("create", "shop", "--scope", "message.send")), secret_in(run("add-key", "shop"))]

    assert 0 == run("revoke", "shop").exit_code

    assert not any(is_valid(fixtures, settings, key) for key in keys)


def test_the_list_never_shows_a_secret(run: Run) -> None:
    key = secret_in(run("create", "shop", "--scope", "message.send"))

    written = run("list").output + run("list", "--json").output

    assert key[:19] in written
    assert key[20:] not in written


@pytest.mark.parametrize("words", [("rotate", "unknown"), ("add-key", "unknown"), ("revoke", "unknown")])
def test_an_unknown_client_is_reported_in_a_sentence(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)

    assert 1 == result.exit_code
    assert "there is no client with this id or name" in result.output


def test_a_name_of_several_clients_is_refused_with_their_ids(run: Run, fixtures: Fixtures) -> None:
    ids = [fixtures.client(scopes=[Scope.MESSAGE_SEND]), fixtures.client_id]

    result = run("revoke", "a client")

    assert 1 == result.exit_code
    assert all(str(client_id) in result.output for client_id in ids)


def test_a_refused_rotation_says_why_and_what_to_do(run: Run) -> None:
    secret_in(run("create", "shop", "--scope", "message.send"))

    result = run("rotate", "shop", "--kind", "client_secret")

    assert 1 == result.exit_code
    assert "add-key" in result.output
    assert not SECRET.search(result.output)


def test_an_access_token_cannot_be_added_as_a_key(run: Run) -> None:
    assert 2 == run("add-key", "shop", "--kind", "access_token").exit_code


def test_one_credential_is_counted_in_the_singular(run: Run) -> None:
    secret_in(run("create", "shop", "--scope", "message.send"))

    assert "revoked 1 credential of client" in run("revoke", "shop").output


def test_a_client_trusts_the_issuer_only_after_the_command_and_until_its_end(run: Run) -> None:
    secret_in(run("create", "shop", "--scope", "message.send"))
    secret_in(run("create", "other", "--scope", "message.send"))
    assert [[], []] == [each["issuer_clients"] for each in list_clients(run)]

    done = [run("trust-issuer", "shop"), run("trust-issuer", "shop", "--issuer-client", "0oa1")]
    taken = run("trust-issuer", "other", "--issuer-client", "0oa1")

    shop = list_clients(run)[0]
    assert [0, 0, 1] == [each.exit_code for each in (*done, taken)]
    assert sorted([shop["client_id"], "0oa1"]) == shop["issuer_clients"]
    assert f"work as client {shop['client_id']} already" in taken.output
    assert "tokens of the trusted issuer: for " in run("list").output
    assert "ended 1 link" in run("trust-issuer", "shop", "--issuer-client", "0oa1", "--stop").output
    assert [0, 1] == [run("trust-issuer", "shop", "--stop").exit_code for _ in range(2)]


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201])
def test_an_id_that_no_token_can_have_is_refused(run: Run, name: str) -> None:
    secret_in(run("create", "shop", "--scope", "message.send"))

    assert 2 == run("trust-issuer", "shop", "--issuer-client", name).exit_code


def test_a_signing_key_is_made_shown_once_and_rotated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_SEALING_KEY", "a sealing key of thirty-two characters")
    run("create", "Our shop", "--scope", "message.send")

    first = secret_in(run("add-key", "Our shop", "--kind", "signing_key"))
    second = secret_in(run("rotate", "Our shop", "--kind", "signing_key"))

    (client,) = list_clients(run)
    kinds = {each["prefix"]: each["kind"] for each in client["credentials"]}
    assert ["signing_key", "signing_key"] == [kinds[each[:19]] for each in (first, second)]
    assert not {first, second} & set(run("list").output.split())


def test_without_a_sealing_key_no_signing_key_is_made(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTROOM_SEALING_KEY", raising=False)
    run("create", "Our shop", "--scope", "message.send")

    result = run("add-key", "Our shop", "--kind", "signing_key")

    assert result.exit_code != 0
    assert "POSTROOM_SEALING_KEY is not set" in result.output


def test_revoking_with_cancel_waiting_cancels_what_is_open_and_leaves_the_rest(
    run: Run, fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    inbox, email = fixtures.account(), fixtures.account(Channel.EMAIL)
    quiet = fixtures.account(quiet_hours=(time(0), time(23, 59, 59)))
    queued, held, fresh = fixtures.message(inbox, email), fixtures.message(inbox, subject=HELD_PHRASE), None
    waiting = fixtures.message(quiet)
    decide(context, [queued, held, waiting])
    vet(context, [held])
    fresh = fixtures.message(inbox)
    client_id, fixtures.client_id = fixtures.client_id, fixtures.client()
    others = fixtures.message(email)
    case_id = fixtures.case(held).case_id

    result = run("revoke", client_id, "--cancel-waiting", "--yes")
    decide(context, [fresh, others])
    deliver(context, [each for message_id in (queued, others) for each in fixtures.recipient_ids(message_id)])

    assert (0, True) == (result.exit_code, "cancelled 4 waiting recipients" in result.output)
    assert [State.DELIVERED, State.CANCELLED] == fixtures.states(queued)
    assert [[State.CANCELLED]] * 3 == [fixtures.states(each) for each in (held, waiting, fresh)]
    assert (0, 1, "sent") == fixtures.counters(queued)
    assert (0, 0, "rejected") == fixtures.counters(fresh)
    assert [others] == [each.message_id for each in relay.letters]
    with transaction(fixtures.database) as db:
        case = vetting_cases.find(db, case_id)
    assert case is not None
    assert CaseState.REJECTED is case.state


def test_without_yes_it_asks_and_a_no_changes_nothing(run: Run, fixtures: Fixtures, settings: Settings) -> None:
    key = secret_in(run("create", "shop", "--scope", "message.send"))
    (client,) = list_clients(run)
    fixtures.client_id = UUID(client["client_id"])
    message_id = fixtures.message(fixtures.account())

    result = run("revoke", "shop", "--cancel-waiting")

    assert 1 == result.exit_code
    assert "cancel 1 waiting recipient of client" in result.output
    assert ([State.ACCEPTED], True) == (fixtures.states(message_id), is_valid(fixtures, settings, key))
