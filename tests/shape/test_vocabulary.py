"""Vocabulary, queues, lanes, tasks, tables and the compose file use the same words."""

import re
from enum import StrEnum
from typing import Any, cast

import pytest
from sqlalchemy import CheckConstraint

from delivery.records.database import Database
from delivery.records.schema import METADATA
from delivery.vocabulary import (
    AccountStatus,
    CaseState,
    Channel,
    CredentialKind,
    MessageType,
    QueueName,
    Reason,
    SecurityEventKind,
    StaffRole,
    State,
    StepName,
)
from tasks.app import make_app
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.lanes import LANES, LaneName
from tasks.queues import DELIVERY_QUEUES, DIRECT_SENDS, ROUTES
from tasks.runner import STEPS, register
from tests.shape.codebase import compose_file, files, vocabulary_enums
from tests.support import build
from worker.runtime.sweep import SWEEP_QUERIES

# Every column that holds a word of the vocabulary.
WORDS: dict[str, type[StrEnum]] = {
    "account.status": AccountStatus,
    "credential.kind": CredentialKind,
    "message.type": MessageType,
    "preference.channel": Channel,
    "recipient.channel": Channel,
    "recipient.reason": Reason,
    "recipient.state": State,
    "security_event.kind": SecurityEventKind,
    "staff.role": StaffRole,
    "vetting_case.state": CaseState,
}


def queues_of_lanes() -> list[QueueName]:
    """Return the queues that workers of all lanes consume."""
    return [queue for lane in LANES.values() for queue in lane.queues]


def compose_services() -> dict[str, dict[str, Any]]:
    """Return the services of the compose file."""
    services: dict[str, dict[str, Any]] = compose_file()["services"]
    return services


def command_of(service: dict[str, Any]) -> list[str]:
    """Return the words of a service's command, which may be a string or a list."""
    command = service.get("command") or []
    return command.split() if isinstance(command, str) else [str(word) for word in command]


def test_every_queue_is_rung_and_every_queue_is_consumed_by_one_lane() -> None:
    rung = {queue for queues in ROUTES.values() for queue in queues}

    assert set(QueueName) == rung
    assert sorted(QueueName) == sorted(queues_of_lanes())


def test_every_queue_has_its_sweep_queries() -> None:
    assert set(QueueName) == set(SWEEP_QUERIES)


def test_celery_knows_exactly_these_queues() -> None:
    queues = make_app(build.settings()).conf.task_queues

    assert sorted(QueueName) == sorted(queue.name for queue in queues)


def test_every_channel_except_the_inbox_has_a_queue_for_its_deliveries() -> None:
    assert set(Channel) - {Channel.INBOX} == set(DELIVERY_QUEUES)
    assert set(ROUTES[StepName.DELIVER]) == set(DELIVERY_QUEUES.values())


def test_step_names_routes_and_registered_tasks_are_the_same() -> None:
    app = make_app(build.settings())
    register(app, StepContext(build.settings(), cast(Database, None), SilentDoorbell()))

    registered = {name for name in app.tasks if not name.startswith("celery.")}

    assert set(StepName) == set(ROUTES)
    assert set(StepName) - {StepName.ACCEPT} == set(STEPS) == registered


def test_direct_sends_are_read_by_one_lane_and_never_by_celery() -> None:
    lanes = [lane for lane in LANES.values() if DIRECT_SENDS in lane.queues]

    assert (DIRECT_SENDS,) == ROUTES[StepName.ACCEPT]
    assert [False] == [DIRECT_SENDS in lane.bell_queues for lane in lanes]


def test_the_compose_file_runs_every_lane_and_no_other() -> None:
    commands = [command_of(service) for service in compose_services().values()]

    lanes = [command[2] for command in commands if command[:2] == ["postroom", "worker"]]

    assert sorted(LaneName) == sorted(lanes)
    assert set(LaneName) == set(LANES)


def test_the_health_check_of_a_service_checks_its_own_lane() -> None:
    services = {name: service for name, service in compose_services().items() if "worker" in command_of(service)[:2]}

    checked = {name: service["healthcheck"]["test"][3] for name, service in services.items()}

    assert {name: command_of(service)[2] for name, service in services.items()} == checked


@pytest.mark.parametrize(("column", "words"), WORDS.items())
def test_a_column_allows_exactly_the_words_of_the_vocabulary(column: str, words: type[StrEnum]) -> None:
    table, name = column.split(".")
    conditions = [
        str(check.sqltext) for check in METADATA.tables[table].constraints if isinstance(check, CheckConstraint)
    ]

    allowed = [set(re.findall(r"'([^']+)'", each)) for each in conditions if each.startswith(f"{name} IN")]

    assert [set(words)] == allowed


def test_the_migrations_know_every_word_that_a_column_may_hold() -> None:
    migrations = [path.read_text(encoding="utf-8") for path in files() if path.parent.name == "versions"]

    known = {word for text in migrations for word in re.findall(r"'([^']+)'", text)}

    assert set() == {str(word) for words in WORDS.values() for word in words} - known


def test_every_word_is_in_lower_case() -> None:
    words = [word for words in vocabulary_enums() for word in words]

    assert [] == [word for word in words if not re.fullmatch(r"[a-z_]+(\.[a-z]+)?", word)]
