"""The doctor finds every broken invariant of a live system, names the rows and changes nothing."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer
from sqlalchemy import text
from sqlalchemy.exc import InternalError
from typer.testing import CliRunner
from uuid_utils.compat import uuid7

from delivery.records.database import snapshot, transaction
from delivery.records.views import invariants
from delivery.records.views.invariants import INVARIANTS, CheckScope, Violation
from delivery.records.workers import registry
from delivery.records.workers.registry import WorkerIdentity
from delivery.settings import Settings, settings_from_environment
from delivery.vocabulary import Channel
from tasks.check_results import Severity
from tasks.context import StepContext
from tasks.lanes import LANES
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.attempts import claim
from tests.support.fixtures import Fixtures
from worker.cli.doctor import doctor as doctor_command

TIMEOUT = timedelta(seconds=10)
ALL = CheckScope(is_everything=True)
# What breaks each invariant. Where the schema enforces it too, the first statement removes that. All is rolled back.
BREAKS: dict[str, tuple[str, ...]] = {
    "counters": ("UPDATE message SET good_count = 3 WHERE id = :id",),
    "every message": ("DELETE FROM recipient WHERE message_id = :id",),
    "every recipient": ("UPDATE recipient SET account_id = gen_random_uuid()",),
    "every open": (
        "ALTER TABLE recipient DROP CONSTRAINT recipient_due_check",
        "UPDATE recipient SET due_at = NULL, state = 'queued'",
    ),
    "no settled": (
        "ALTER TABLE recipient DROP CONSTRAINT recipient_due_check",
        "UPDATE recipient SET due_at = clock_timestamp(), state = 'blocked'",
    ),
    "an inbox": ("DELETE FROM inbox_letter",),
    "no recipient waits long": (
        "UPDATE recipient SET state = 'queued', channel = 'email', due_at = clock_timestamp() - INTERVAL '11 minutes'",
    ),
    "no attempt": (
        "UPDATE recipient SET state = 'claimed', channel = 'email', due_at = clock_timestamp() - INTERVAL '1 hour'",
    ),
    "every held": (
        "UPDATE recipient SET state = 'held', due_at = clock_timestamp() + INTERVAL '1 hour'",
        "UPDATE recipient SET changed_at = clock_timestamp() - INTERVAL '1 hour'",
    ),
    "no message with a decided case": (
        "INSERT INTO vetting_case SELECT gen_random_uuid(), :id, 'approved', '[]', now(), now()",
        "UPDATE recipient SET state = 'held', due_at = clock_timestamp()",
    ),
    "a case is decided": ("INSERT INTO vetting_case SELECT gen_random_uuid(), :id, 'decided', '[]', now(), now()",),
    "every idempotency": (
        "DROP INDEX message_client_id_idempotency_key_idx",
        """INSERT INTO message (id, client_id, sender_name, subject, body, type, open_count, good_count)
           SELECT CAST(:other AS uuid), client_id, 'x', 'x', 'x', 'other', 0, 0 FROM message""",
        "UPDATE message SET idempotency_key = 'the same'",
    ),
    "no recipient waits for more": (
        "UPDATE recipient SET state = 'retrying', reason = 'try_later', attempt = 10, due_at = clock_timestamp()",
    ),
}


@pytest.fixture
def settled(fixtures: Fixtures, context: StepContext) -> UUID:
    """Deliver a message to an inbox."""
    message_id = fixtures.message(fixtures.account())
    decide(context, [message_id])
    return message_id


@pytest.fixture
def live_workers(fixtures: Fixtures) -> None:
    """Register a worker of every lane."""
    for lane in LANES.values():
        with transaction(fixtures.database) as db:
            registry.heartbeat(db, WorkerIdentity(uuid7(), "here", 1, lane.queues))


@pytest.fixture
def doctor(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Yield the command `postroom doctor`, run in a folder without a settings file."""
    monkeypatch.chdir(tmp_path)
    secrets = {
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "POSTROOM_PEPPER": settings.pepper,
    }
    environment = {name: secret.get_secret_value() for name, secret in secrets.items()}
    commands = typer.Typer()
    commands.command()(doctor_command)

    def run(*words: str, **changed: str) -> Any:
        settings_from_environment.cache_clear()
        return CliRunner().invoke(commands, words, env={**environment, **changed})

    yield run
    settings_from_environment.cache_clear()


def find_violations(fixtures: Fixtures, *statements: str, scope: CheckScope = ALL, **values: object) -> list[Violation]:
    """Run the checks after these statements, and roll them back."""
    with fixtures.database.connect() as db:
        for each in statements:
            db.execute(text(each), values)
        return list(invariants.ask(db, scope))


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("scope", [CheckScope(), ALL], ids=["recent", "all"])
def test_a_live_system_with_every_kind_of_row_has_no_violation(
    fixtures: Fixtures, context: StepContext, scope: CheckScope
) -> None:
    held = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    queued, claimed = (
        fixtures.message(fixtures.account(Channel.EMAIL), fixtures.account(is_closed=True)) for _ in range(2)
    )
    decide(context, [held, queued, claimed])
    vet(context, [held])
    claim(fixtures, claimed)
    fixtures.message(fixtures.account())

    violations = find_violations(fixtures, scope=scope)

    assert [(0, ())] * len(INVARIANTS) == [(each.count, each.rows) for each in violations]


@pytest.mark.parametrize("scope", [CheckScope(), ALL], ids=["recent", "all"])
@pytest.mark.parametrize("name", BREAKS)
def test_every_broken_invariant_is_found_and_its_row_named(
    fixtures: Fixtures, settled: UUID, name: str, scope: CheckScope
) -> None:
    violations = find_violations(fixtures, *BREAKS[name], scope=scope, id=settled, other=uuid7())

    (violation,) = [each for each in violations if each.invariant.name.startswith(name)]
    assert violation.count
    assert name.startswith("every idempotency") or violation.rows[0].startswith(str(settled))


def test_every_invariant_has_a_test_that_breaks_it() -> None:
    assert len(BREAKS) == len([each for each in INVARIANTS if any(each.name.startswith(name) for name in BREAKS)])
    assert len(BREAKS) == len(INVARIANTS)


@pytest.mark.parametrize("orphan", ["DELETE FROM message", "DELETE FROM recipient"])
def test_orphaned_inbox_letters_and_recipients_are_found(fixtures: Fixtures, settled: UUID, orphan: str) -> None:
    violations = find_violations(fixtures, orphan)

    assert any(each.count and str(settled) in each.rows[0] for each in violations)


def test_all_violating_rows_are_counted_and_only_some_named(fixtures: Fixtures, context: StepContext) -> None:
    message_ids = [fixtures.message(fixtures.account()) for _ in range(7)]
    decide(context, message_ids)

    violations = find_violations(fixtures, "DELETE FROM inbox_letter", scope=CheckScope(limit=3))

    assert [(7, 3)] == [(each.count, len(each.rows)) for each in violations if each.count]


def test_nothing_can_be_written_in_the_transaction_of_the_checks(fixtures: Fixtures) -> None:
    with snapshot(fixtures.database, timeout=TIMEOUT) as db, pytest.raises(InternalError, match="read-only"):
        db.execute(text("DELETE FROM recipient"))


@pytest.mark.usefixtures("settled")
def test_a_check_that_takes_too_long_is_a_violation_and_the_others_still_run(fixtures: Fixtures) -> None:
    with snapshot(fixtures.database, timeout=TIMEOUT) as db:
        db.execute(text("SET LOCAL statement_timeout = 100"))
        with transaction(fixtures.database) as other:
            other.execute(text("LOCK TABLE inbox_letter"))
            violations = list(invariants.ask(db, CheckScope()))

    assert [None] == [each.count for each in violations if each.count != 0]


@pytest.mark.usefixtures("live_workers", "broker", "settled")
def test_without_a_violation_the_command_exits_with_0_and_prints_one_line_for_each_check(
    doctor: Callable[..., Any],
) -> None:
    result = doctor()

    lines = result.output.splitlines()
    assert (0, {"ok"}) == (result.exit_code, {line.split()[0] for line in lines})
    assert len(INVARIANTS) + len(LANES) + 15 == len(lines)


@pytest.mark.usefixtures("live_workers", "broker")
def test_with_a_violation_the_command_exits_with_1_and_says_what_to_do(
    doctor: Callable[..., Any], fixtures: Fixtures, settled: UUID
) -> None:
    fixtures.run_sql("UPDATE message SET open_count = 4")

    text_result, json_result = doctor(), doctor("--json")

    assert (1, 1) == (text_result.exit_code, json_result.exit_code)
    head, advice = [*text_result.output.splitlines(), ""][:2]
    assert (True, True) == (head.startswith("FAULT"), str(settled) in head)
    assert advice.strip()
    answer = json.loads(json_result.output)
    (violation,) = [each for each in answer["checks"] if each["mark"] == Severity.FAULT]
    assert (False, 1, [str(settled)]) == (answer["is_well"], violation["count"], violation["rows"])


@pytest.mark.usefixtures("broker", "database")
def test_a_lane_without_a_worker_is_a_fault(doctor: Callable[..., Any]) -> None:
    result = doctor()

    assert 1 == result.exit_code
    assert len(LANES) == result.output.count("FAULT")


@pytest.mark.usefixtures("live_workers", "broker")
def test_a_parked_message_is_a_warning_that_names_the_release_command(
    doctor: Callable[..., Any], fixtures: Fixtures, settled: UUID
) -> None:
    del settled
    message_id = fixtures.message(fixtures.account())
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp() + INTERVAL '100 years' WHERE due_at IS NOT NULL")

    result = doctor()

    assert 4 == result.exit_code
    assert (True, True) == (str(message_id) in result.output, "postroom release" in result.output)


@pytest.mark.usefixtures("broker")
def test_late_work_is_reported_with_its_likely_cause(doctor: Callable[..., Any], fixtures: Fixtures) -> None:
    fixtures.message(fixtures.account())
    fixtures.let_pass(timedelta(minutes=11))

    output = doctor().output

    assert "Likely because this does not hold: a worker of the lane decide is alive" in output


@pytest.mark.usefixtures("live_workers", "database")
def test_an_unreachable_broker_is_a_warning_and_the_exit_code_says_degraded(doctor: Callable[..., Any]) -> None:
    away = "redis://127.0.0.1:1/0"

    text_result, json_result = doctor(BROKER_URL=away), doctor("--json", BROKER_URL=away)

    assert (4, 4, 1) == (text_result.exit_code, json_result.exit_code, text_result.output.count("warning"))
    answer = json.loads(json_result.output)
    assert (True, True) == (answer["is_well"], answer["is_degraded"])


@pytest.mark.usefixtures("live_workers", "database")
def test_a_fault_outweighs_a_warning(doctor: Callable[..., Any], fixtures: Fixtures, settled: UUID) -> None:
    del settled
    fixtures.run_sql("UPDATE message SET open_count = 4")

    result = doctor("--json", BROKER_URL="redis://127.0.0.1:1/0")

    assert (1, False) == (result.exit_code, json.loads(result.output)["is_degraded"])


def test_the_command_exits_with_3_when_the_database_is_unreachable(doctor: Callable[..., Any]) -> None:
    result = doctor(DATABASE_URL="postgresql://127.0.0.1:1/postroom")

    assert 3 == result.exit_code
