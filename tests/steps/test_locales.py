"""Commands in terminals that cannot show every character."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner

from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.settings import Settings, settings_from_environment
from delivery.vocabulary import Scope
from tests.support import build
from tests.support.fixtures import Fixtures
from worker.cli.app import app

EMOJI = "\N{LOVE LETTER}"
NO_TEXT = os.fsdecode(b"\xff")
Run = Callable[..., Any]


@pytest.fixture
def environment(
    fixtures: Fixtures, settings: Settings, broker: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Return the settings as environment variables."""
    del fixtures, broker
    monkeypatch.chdir(tmp_path)
    secrets = {
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "POSTROOM_PEPPER": settings.pepper,
    }
    return {**{name: secret.get_secret_value() for name, secret in secrets.items()}, "COLUMNS": "40"}


@pytest.fixture(params=["latin-1", "ascii", "utf-8"])
def run(request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[Run]:
    """Yield a function that runs `postroom` with this encoding of standard output and standard error."""
    runner = CliRunner(charset=request.param, env=environment)
    settings_from_environment.cache_clear()
    yield lambda *words: runner.invoke(app, [str(word) for word in words])
    settings_from_environment.cache_clear()


def test_no_command_fails_on_a_character_that_the_terminal_cannot_show(fixtures: Fixtures, run: Run) -> None:
    account_id = fixtures.account(name=f"Ada {EMOJI}")
    with transaction(fixtures.database) as db:
        clients.put(db, build.account_id(), f"Shop {EMOJI}", scopes=[Scope.MESSAGE_SEND])
    message_id = fixtures.message(account_id, subject=EMOJI)

    results = {
        words: run(*words)
        for words in [
            ("accounts", "show", account_id),
            ("accounts", "show", account_id, "--json"),
            ("clients", "list"),
            ("clients", "revoke", f"Shop {EMOJI}"),
            ("queues",),
            ("why", message_id),
            ("refused",),
            ("vetting", "list"),
            ("--help",),
            ("accounts", "import", "--help"),
        ]
    }

    assert {} == {words: result.exception for words, result in results.items() if result.exit_code}
    assert "Ada " in results["accounts", "show", account_id].stdout


@pytest.mark.parametrize(
    "words",
    [
        ("clients", "create", NO_TEXT, "--scope", "message.send"),
        ("clients", "rotate", NO_TEXT),
        ("clients", "revoke", NO_TEXT),
        ("vetting", "approve", build.MESSAGE_ID, "--note", NO_TEXT),
        ("vetting", "reject", build.MESSAGE_ID, "--as", NO_TEXT),
        ("why", NO_TEXT),
        ("accounts", "import", f"{NO_TEXT}.csv"),
        ("accounts", "import", f"{EMOJI}.csv"),
        (NO_TEXT,),
        (f"--{EMOJI}",),
        ("worker", EMOJI),
    ],
)
def test_what_an_operator_types_wrongly_is_a_usage_error(run: Run, words: tuple[object, ...]) -> None:
    result = run(*words)

    assert (2, "") == (result.exit_code, result.stdout)


def test_a_process_in_a_terminal_of_eight_bits_replaces_what_it_cannot_show(
    fixtures: Fixtures, environment: dict[str, str]
) -> None:
    account_id = fixtures.account(name=f"Zo\u00eb {EMOJI}")

    result = subprocess.run(
        [sys.executable, "-m", "worker", "accounts", "show", str(account_id)],
        capture_output=True,
        check=False,
        env={**environment, "PYTHONIOENCODING": "latin-1"},
        timeout=60,
    )

    assert (0, b"") == (result.returncode, result.stderr)
    assert "Name:          Zo\u00eb ?" in result.stdout.decode("latin-1")
