"""The check-up of a live system finds every broken invariant, names the rows and changes nothing."""

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
from tasks.context import StepContext
from tasks.health_checks import Severity
from tasks.lanes import LANES
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.attempts import claim
from tests.support.fixtures import Fixtures
from worker.cli.doctor import doctor as doctor_command

TIMEOUT = timedelta(seconds=10)
ALL = CheckScope(is_everything=True)
# What breaks each invariant; a second statement where the schema guards it as well. Undone after the question.
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
    "no recipient waits": (
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
def alive(fixtures: Fixtures) -> None:
    """Let a worker of every lane be seen."""
    for lane in LANES.values():
        with transaction(fixtures.database) as db:
            registry.heartbeat(db, WorkerIdentity(uuid7(), "here", 1, lane.queues))


@pytest.fixture
def doctor(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Give the command `postroom doctor`, in a folder without settings of its own."""
    monkeypatch.chdir(tmp_path)
    told = {
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "POSTROOM_PEPPER": settings.pepper,
    }
    environment = {name: secret.get_secret_value() for name, secret in told.items()}
    commands = typer.Typer()
    commands.command()(doctor_command)

    def run(*words: str, **changed: str) -> Any:
        settings_from_environment.cache_clear()
        return CliRunner().invoke(commands, words, env={**environment, **changed})

    yield run
    settings_from_environment.cache_clear()


def findings(fixtures: Fixtures, *statements: str, scope: CheckScope = ALL, **values: object) -> list[Violation]:
    """Ask after these statements, none of which lasts."""
    with fixtures.database.connect() as db:
        for each in statements:
            db.execute(text(each), values)
        return list(invariants.ask(db, scope))


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("scope", [CheckScope(), ALL], ids=["recent", "all"])
def test_a_live_system_with_every_kind_of_row_is_well(
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

    found = findings(fixtures, scope=scope)

    assert [(0, ())] * len(INVARIANTS) == [(each.count, each.rows) for each in found]


@pytest.mark.parametrize("scope", [CheckScope(), ALL], ids=["recent", "all"])
@pytest.mark.parametrize("name", BREAKS)
def test_every_broken_invariant_is_found_with_the_row(
    fixtures: Fixtures, settled: UUID, name: str, scope: CheckScope
) -> None:
    found = findings(fixtures, *BREAKS[name], scope=scope, id=settled, other=uuid7())

    (fault,) = [each for each in found if each.invariant.name.startswith(name)]
    assert fault.count
    assert name.startswith("every idempotency") or fault.rows[0].startswith(str(settled))


def test_every_invariant_has_a_test_that_breaks_it() -> None:
    assert len(BREAKS) == len([each for each in INVARIANTS if any(each.name.startswith(name) for name in BREAKS)])
    assert len(BREAKS) == len(INVARIANTS)


@pytest.mark.parametrize("orphan", ["DELETE FROM message", "DELETE FROM recipient"])
def test_letters_and_recipients_without_what_they_belong_to_are_found(
    fixtures: Fixtures, settled: UUID, orphan: str
) -> None:
    found = findings(fixtures, orphan)

    assert any(each.count and str(settled) in each.rows[0] for each in found)


def test_only_some_of_the_rows_at_fault_are_named_and_all_are_counted(fixtures: Fixtures, context: StepContext) -> None:
    message_ids = [fixtures.message(fixtures.account()) for _ in range(7)]
    decide(context, message_ids)

    found = findings(fixtures, "DELETE FROM inbox_letter", scope=CheckScope(limit=3))

    assert [(7, 3)] == [(each.count, len(each.rows)) for each in found if each.count]


def test_nothing_can_be_written_while_it_is_asked(fixtures: Fixtures) -> None:
    with snapshot(fixtures.database, timeout=TIMEOUT) as db, pytest.raises(InternalError, match="read-only"):
        db.execute(text("DELETE FROM recipient"))


@pytest.mark.usefixtures("settled")
def test_a_question_that_takes_too_long_is_a_fault_and_the_others_are_asked(fixtures: Fixtures) -> None:
    with snapshot(fixtures.database, timeout=TIMEOUT) as db:
        db.execute(text("SET LOCAL statement_timeout = 100"))
        with transaction(fixtures.database) as other:
            other.execute(text("LOCK TABLE inbox_letter"))
            found = list(invariants.ask(db, CheckScope()))

    assert [None] == [each.count for each in found if each.count != 0]


@pytest.mark.usefixtures("alive", "broker", "settled")
def test_the_command_ends_with_0_and_a_line_for_each_when_all_is_well(doctor: Callable[..., Any]) -> None:
    ended = doctor()

    lines = ended.output.splitlines()
    assert (0, {"ok"}) == (ended.exit_code, {line.split()[0] for line in lines})
    assert len(INVARIANTS) + len(LANES) + 2 == len(lines)


@pytest.mark.usefixtures("alive", "broker")
def test_the_command_ends_with_1_and_says_what_to_do_when_something_is_broken(
    doctor: Callable[..., Any], fixtures: Fixtures, settled: UUID
) -> None:
    fixtures.ask("UPDATE message SET open_count = 4")

    for_people, for_programs = doctor(), doctor("--json")

    assert (1, 1) == (for_people.exit_code, for_programs.exit_code)
    head, advice = [*for_people.output.splitlines(), ""][:2]
    assert (True, True) == (head.startswith("FAULT"), str(settled) in head)
    assert advice.strip()
    answer = json.loads(for_programs.output)
    (fault,) = [each for each in answer["checks"] if each["mark"] == Severity.FAULT]
    assert (False, 1, [str(settled)]) == (answer["is_well"], fault["count"], fault["rows"])


@pytest.mark.usefixtures("broker", "database")
def test_a_lane_without_a_worker_is_a_fault(doctor: Callable[..., Any]) -> None:
    ended = doctor()

    assert 1 == ended.exit_code
    assert len(LANES) == ended.output.count("FAULT")


@pytest.mark.usefixtures("alive", "broker")
def test_what_is_set_aside_is_a_warning_with_the_way_out(
    doctor: Callable[..., Any], fixtures: Fixtures, settled: UUID
) -> None:
    del settled
    message_id = fixtures.message(fixtures.account())
    fixtures.ask("UPDATE recipient SET due_at = clock_timestamp() + INTERVAL '100 years' WHERE due_at IS NOT NULL")

    ended = doctor()

    assert 0 == ended.exit_code
    assert (True, True) == (str(message_id) in ended.output, "postroom release" in ended.output)


@pytest.mark.usefixtures("broker")
def test_stuck_work_is_told_with_its_likely_reason(doctor: Callable[..., Any], fixtures: Fixtures) -> None:
    fixtures.message(fixtures.account())
    fixtures.let_pass(timedelta(minutes=11))

    said = doctor().output

    assert "Likely because this does not hold: a worker of the lane decide is alive" in said


@pytest.mark.usefixtures("alive", "database")
def test_a_broker_that_is_away_is_a_warning_only(doctor: Callable[..., Any]) -> None:
    ended = doctor(BROKER_URL="redis://127.0.0.1:1/0")

    assert (0, 1) == (ended.exit_code, ended.output.count("warning"))


def test_the_command_ends_with_3_when_the_database_is_away(doctor: Callable[..., Any]) -> None:
    ended = doctor(DATABASE_URL="postgresql://127.0.0.1:1/postroom")

    assert 3 == ended.exit_code
