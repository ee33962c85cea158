"""`postroom clients`: what a person sees of clients and their keys."""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from delivery.credentials import is_match, parse_credential
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.settings import Settings
from delivery.vocabulary import CredentialKind, Scope
from tests.support.fixtures import Fixtures
from worker.cli.clients import clients as commands

Run = Callable[..., Any]
SECRET = re.compile(r"(?:pk|cs)_[0-9a-f]{16}_[\w-]{43}")


@pytest.fixture
def run(command: Run) -> Run:
    """Give the command `postroom clients`."""
    return partial(command, commands)


def secret_in(result: Any) -> str:
    """Give the one secret that a command printed."""
    assert 0 == result.exit_code, result.output
    (secret,) = SECRET.findall(result.output)
    return str(secret)


def listed(run: Run) -> list[dict[str, Any]]:
    """Give what the list says to programs, but for the client that every book has."""
    found: list[dict[str, Any]] = json.loads(run("list", "--json").output)["clients"]
    return found[1:]


def is_open(fixtures: Fixtures, settings: Settings, text: str, kind: CredentialKind = CredentialKind.API_KEY) -> bool:
    """Say whether a credential gets in."""
    prefix, secret = parse_credential(text) or ("", "")
    with transaction(fixtures.database) as db:
        found = clients.find_credential(db, prefix, kind)
    return found is not None and is_match(secret, found.digest, settings.pepper)


def test_a_created_client_has_its_key_scopes_limits_and_end(run: Run, fixtures: Fixtures, settings: Settings) -> None:
    words = ["Our shop", "--scope", "message.send", "--scope", "message.read", "--requests-per-minute", 5]

    key = secret_in(run("create", *words, "--recipients-per-minute", 50, "--expires-in-days", 30))

    (client,) = listed(run)
    assert is_open(fixtures, settings, key)
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


def test_another_key_may_do_less_and_leaves_the_first_one_alone(
    run: Run, fixtures: Fixtures, settings: Settings
) -> None:
    first = secret_in(run("create", "shop", "--scope", "message.send"))

    second = secret_in(run("add-key", "shop", "--kind", "client_secret", "--scope", "message.send"))

    assert is_open(fixtures, settings, first)
    assert is_open(fixtures, settings, second, CredentialKind.CLIENT_SECRET)
    assert [None, ["message.send"]] == [each["scopes"] for each in listed(run)[0]["credentials"]]


def test_a_rotated_key_is_new_at_once_and_the_old_one_ends_later(
    run: Run, fixtures: Fixtures, settings: Settings
) -> None:
    old = secret_in(run("create", "shop", "--scope", "message.send"))

    rotated = run("rotate", "shop")

    assert is_open(fixtures, settings, old)
    assert is_open(fixtures, settings, secret_in(rotated))
    assert "The old API key can be used until " in rotated.output
    assert " UTC, which is in 1 day, or until an earlier end; " in rotated.output
    assert "in 23 hours" in run("list").output


def test_a_rotation_without_overlap_ends_the_old_key_now(run: Run, fixtures: Fixtures, settings: Settings) -> None:
    old = secret_in(run("create", "shop", "--scope", "message.send"))

    rotated = run("rotate", "shop", "--overlap-hours", 0)

    new = secret_in(rotated)
    assert "The old API key cannot be used any more" in rotated.output
    assert [False, True] == [is_open(fixtures, settings, each) for each in (old, new)]


@pytest.mark.parametrize("shown", [lambda key: key[:19], lambda key: key])
def test_a_key_is_revoked_by_its_prefix_or_pasted_as_a_whole(
    run: Run, fixtures: Fixtures, settings: Settings, shown: Callable[[str], str]
) -> None:
    key = secret_in(run("create", "shop", "--scope", "message.send"))

    revoked, again = run("revoke", shown(key)), run("revoke", shown(key))

    assert (0, 1) == (revoked.exit_code, again.exit_code)
    assert not is_open(fixtures, settings, key)
    assert not SECRET.search(revoked.output + again.output)


def test_a_whole_client_is_revoked(run: Run, fixtures: Fixtures, settings: Settings) -> None:
    opened = [secret_in(run("create", "shop", "--scope", "message.send")), secret_in(run("add-key", "shop"))]

    assert 0 == run("revoke", "shop").exit_code

    assert not any(is_open(fixtures, settings, key) for key in opened)


def test_the_list_never_shows_a_secret(run: Run) -> None:
    key = secret_in(run("create", "shop", "--scope", "message.send"))

    shown = run("list").output + run("list", "--json").output

    assert key[:19] in shown
    assert key[20:] not in shown


@pytest.mark.parametrize("words", [("rotate", "nobody"), ("add-key", "nobody"), ("revoke", "nobody")])
def test_an_unknown_client_is_named_in_a_sentence(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)

    assert 1 == result.exit_code
    assert "there is no client with this id or name" in result.output


def test_a_name_that_several_clients_have_is_not_guessed(run: Run, fixtures: Fixtures) -> None:
    ids = [fixtures.client(scopes=[Scope.MESSAGE_SEND]), fixtures.client_id]

    result = run("revoke", "a client")

    assert 1 == result.exit_code
    assert all(str(client_id) in result.output for client_id in ids)


def test_what_cannot_be_rotated_says_why_and_what_to_do(run: Run) -> None:
    secret_in(run("create", "shop", "--scope", "message.send"))

    result = run("rotate", "shop", "--kind", "client_secret")

    assert 1 == result.exit_code
    assert "add-key" in result.output
    assert not SECRET.search(result.output)


def test_an_access_token_is_not_made_by_hand(run: Run) -> None:
    assert 2 == run("add-key", "shop", "--kind", "access_token").exit_code


def test_one_is_not_counted_in_the_plural(run: Run) -> None:
    secret_in(run("create", "shop", "--scope", "message.send"))

    assert "revoked 1 credential of client" in run("revoke", "shop").output
