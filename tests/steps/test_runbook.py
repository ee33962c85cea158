"""The commands of docs/runbook.md exist, and answer as the page says."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner

from delivery.records.database import transaction
from delivery.records.workers import registry
from delivery.records.workers.registry import WorkerIdentity
from delivery.settings import Settings, settings_from_environment
from delivery.vocabulary import Channel
from tasks.context import StepContext
from tasks.lanes import LANES
from tasks.steps.decide import decide
from tests.shape.codebase import read_text
from tests.support import build
from tests.support.fixtures import Fixtures
from worker.cli.app import app

Run = Callable[[str], Any]
AWAY = "redis://127.0.0.1:1/0"
_PAGE = read_text("docs/runbook.md")
COMMANDS = sorted(set(re.findall(r"^ {4,}postroom (.+)$", _PAGE, re.MULTILINE)))
# Other codes than 0 that the page announces for the system of this test: one without workers and with a parked message.
EXPECTED = {"doctor": 1, "worker-alive smtp": 1}


@pytest.fixture
def run(
    settings: Settings, fixtures: Fixtures, broker: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Yield a function that runs a command of the page, with a client and a parked message in place of its words."""
    del broker
    monkeypatch.chdir(tmp_path)
    message_id = fixtures.message(fixtures.account())
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp() + INTERVAL '100 years' RETURNING id")
    secrets = {
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "POSTROOM_PEPPER": settings.pepper,
    }
    environment = {name: secret.get_secret_value() for name, secret in secrets.items()}
    words_of = {"MESSAGE": str(message_id), "CLIENT": str(fixtures.client_id)}

    def run_command(line: str, **changed: str) -> Any:
        settings_from_environment.cache_clear()
        words = [words_of.get(word, word) for word in line.split()]
        return CliRunner().invoke(app, words, env={**environment, **changed})

    yield run_command
    settings_from_environment.cache_clear()


def test_the_page_has_a_command_for_every_incident() -> None:
    sections = _PAGE.split("\n## ")[1:]

    assert len(sections) >= 10
    assert [] == [each.partition("\n")[0] for each in sections if "\n    " not in each]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_runs(run: Run, line: str) -> None:
    result = run(line)

    assert EXPECTED.get(line, 0) == result.exit_code, result.output


def test_every_command_that_the_page_names_in_a_sentence_exists(run: Run) -> None:
    named = set(re.findall(r"`postroom ([a-z-]+(?: [a-z-]+)?)", _PAGE))
    heads = {line.split()[0] if line.split()[0] not in {"vetting", "clients"} else line for line in named}

    results = {line: run(f"{line} --help").exit_code for line in heads}

    assert {} == {line: code for line, code in results.items() if code}


@pytest.mark.usefixtures("run")
def test_doctor_tells_the_incidents_of_the_page_apart(
    run: Callable[..., Any], fixtures: Fixtures, context: StepContext
) -> None:
    database_away = run("doctor", DATABASE_URL="postgresql://127.0.0.1:1/postroom")
    for lane in LANES.values():
        with transaction(fixtures.database) as db:
            registry.heartbeat(db, WorkerIdentity(build.account_id(), "here", 1, lane.queues))
    decide(context, [fixtures.message(fixtures.account(Channel.EMAIL))])
    broker_away = run("doctor", BROKER_URL=AWAY)

    assert (3, 4) == (database_away.exit_code, broker_away.exit_code)
    assert "warning  the broker answers" in broker_away.output
