"""`postroom queues` can be read at 80 columns, counts ages from acceptance and shows a lane without a worker."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from redis import Redis
from typer.testing import CliRunner
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.workers import registry
from delivery.records.workers.registry import WorkerIdentity
from delivery.settings import Settings, settings_from_environment
from delivery.vocabulary import Channel
from tasks.context import StepContext
from tasks.lanes import LANES, LaneName
from tasks.steps.decide import decide
from tests.steps.conftest import HELD_PHRASE
from tests.support.fixtures import Fixtures
from worker.cli.queues import queues

Run = Callable[..., Any]
LONG_HOST = "worker-smtp-7c9d8b6f5-x2x4q.postroom-production.svc.cluster.example"


@pytest.fixture
def run(settings: Settings, broker: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Yield the command `postroom queues` in a terminal of 80 columns, with a broker that is empty."""
    del broker
    monkeypatch.chdir(tmp_path)
    secrets = {
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "POSTROOM_PEPPER": settings.pepper,
    }
    environment = {**{name: secret.get_secret_value() for name, secret in secrets.items()}, "COLUMNS": "80"}
    commands = typer.Typer()
    commands.command()(queues)
    settings_from_environment.cache_clear()
    yield lambda *words: CliRunner().invoke(commands, words, env=environment)
    settings_from_environment.cache_clear()


def start_worker(fixtures: Fixtures, queue_names: Sequence[str], *, host: str = "here") -> None:
    """Register a worker of these queues."""
    with transaction(fixtures.database) as db:
        registry.heartbeat(db, WorkerIdentity(uuid7(), host, 4_194_304, tuple(queue_names)))


def test_everything_fits_in_80_columns_and_no_row_is_broken(run: Run, fixtures: Fixtures, context: StepContext) -> None:
    held, queued, parked = (
        fixtures.message(fixtures.account(Channel.EMAIL), subject=subject) for subject in (HELD_PHRASE, "a", "b")
    )
    decide(context, [held, queued, parked])
    fixtures.run_sql("UPDATE message SET created_at = clock_timestamp() - INTERVAL '59 minutes'")
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp() + INTERVAL '59.5 minutes'")
    fixtures.run_sql(
        "UPDATE recipient SET due_at = clock_timestamp() + INTERVAL '100 years' WHERE message_id = :id", id=parked
    )
    start_worker(fixtures, LANES[LaneName.SMTP].queues, host=LONG_HOST)

    output = run().output

    lines = output.splitlines()
    assert [] == [line for line in lines if len(line.rstrip()) > 80]
    (row,) = [line for line in lines if "queued" in line]
    assert ["queued", "e-mail", "2", "59", "minutes", "ago", "0", "in", "59", "minutes", "1"] == row.split()
    assert ("…" in output, "oldest accepted" in output, "oldest rung" in output) == (False, True, True)


def test_an_age_counts_from_acceptance_and_not_from_the_last_attempt(run: Run, fixtures: Fixtures) -> None:
    fixtures.message(fixtures.account())
    fixtures.run_sql("UPDATE message SET created_at = clock_timestamp() - INTERVAL '3 hours 1 minute'")

    output = run().output

    assert "3 hours ago" in output


def test_a_lane_without_a_worker_is_named_with_its_command(run: Run, fixtures: Fixtures) -> None:
    start_worker(fixtures, LANES[LaneName.DECIDE].queues)

    output = run().output

    assert "No worker of the lane smtp: one has not been seen for a day." in output
    assert "Mails wait. Start one: postroom worker smtp" in output
    assert "No worker of the lane decide" not in output


def test_a_dead_lane_shows_when_its_last_worker_was_seen(run: Run, fixtures: Fixtures) -> None:
    start_worker(fixtures, LANES[LaneName.DECIDE].queues)
    start_worker(fixtures, LANES[LaneName.SMTP].queues)
    fixtures.run_sql(
        "UPDATE worker SET seen_at = clock_timestamp() - INTERVAL '7 minutes', died_at = clock_timestamp()"
        " WHERE queues = ARRAY['deliver.smtp']"
    )

    text, answer = run().output, json.loads(run("--json").output)

    assert "No worker of the lane smtp: one was last seen 7 minutes ago." in text
    assert ["smtp"] == [each["lane"] for each in answer["dead_lanes"]]


def test_with_a_worker_of_every_lane_no_lane_is_dead(run: Run, fixtures: Fixtures) -> None:
    for lane in LANES.values():
        start_worker(fixtures, lane.queues)

    text, answer = run().output, json.loads(run("--json").output)

    assert ("No worker" in text, answer["dead_lanes"]) == (False, [])
