"""Settings have units and sentences, and their errors name variables and never values."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from delivery.settings import Settings, environment_name
from tasks.app import celery_url, make_app
from tests.support import build

ROOT = Path(__file__).resolve().parents[2]
_READ = "from delivery.settings import settings_from_environment as read; print(read().waiting_limit)"


def read_settings(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process of its own that has exactly this environment."""
    command = [sys.executable, "-c", _READ]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def test_wrong_and_missing_variables_are_named_one_a_line_and_their_values_never_shown() -> None:
    wrong = {"POSTROOM_PEPPER": "hunter2", "POSTROOM_VERDICT_WAIT_S": "hunter3", "POSTROOM_SMTP_CONCURRENCY": "0"}

    ended = read_settings(wrong)

    assert 1 == ended.returncode
    assert not [secret for secret in ("hunter2", "hunter3") if secret in ended.stderr + ended.stdout]
    assert "Traceback" not in ended.stderr
    named = [line.strip().partition(":")[0] for line in ended.stderr.splitlines()[1:]]
    assert sorted(wrong) == sorted(named)


def test_variables_have_our_prefix_except_for_those_that_are_common() -> None:
    names = {environment_name(field) for field in Settings.model_fields}

    common = {"DATABASE_URL", "DATABASE_PASSWORD", "BROKER_URL", "BROKER_PASSWORD", "SMTP_URL"}
    assert common == {name for name in names if not name.startswith("POSTROOM_")}
    assert "POSTROOM_PEPPER" in names


def test_the_alias_of_a_setting_names_itself() -> None:
    assert "DATABASE_URL" == environment_name("DATABASE_URL") == environment_name("database_url")


def test_every_setting_has_a_sentence() -> None:
    without = [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")]

    assert [] == without


def test_settings_cannot_be_changed() -> None:
    settings = build.settings()

    with pytest.raises(ValidationError):
        settings.bell = False  # type: ignore[misc] # mypy says so already; others do not run it


def test_secrets_are_not_printed() -> None:
    settings = build.settings(database_url="postgresql://u:hunter2@db/p", smtp_url="smtps://u:hunter2@relay")

    assert "hunter2" not in repr(settings)
    assert build.PEPPER.get_secret_value() not in repr(settings)


def test_a_lease_is_longer_than_the_attempt_that_it_covers() -> None:
    settings = build.settings(send_deadline_s=20)

    assert timedelta(seconds=20) < settings.lease


@pytest.mark.parametrize(
    ("written", "phrases"),
    [("", ()), ("gift card", ("gift card",)), ("gift card|wire money", ("gift card", "wire money")), ("| |a|", ("a",))],
)
def test_phrases_are_separated_by_bars_and_empty_ones_are_ignored(written: str, phrases: tuple[str, ...]) -> None:
    assert phrases == build.settings(hold_phrases=written).hold_rule.phrases


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("unix:///run/valkey.sock", "redis+socket:///run/valkey.sock"),
        ("unix:///run/valkey.sock?db=3", "redis+socket:///run/valkey.sock?virtual_host=3"),
    ],
)
def test_celery_gets_the_broker_url_in_its_own_spelling(url: str, expected: str) -> None:
    assert expected == celery_url(build.settings(broker_url=url))


def test_the_celery_application_has_the_measured_settings() -> None:
    conf = make_app(build.settings()).conf

    assert None is conf.result_backend
    assert conf.task_ignore_result
    assert ["json"] == conf.accept_content
    assert not conf.broker_transport_options["ack_emulation"]
    assert not conf.task_create_missing_queues
    assert not conf.task_publish_retry
    assert None is conf.broker_connection_max_retries
    assert not conf.worker_cancel_long_running_tasks_on_connection_loss
    assert all(queue.exchange.name == "" for queue in conf.task_queues)
