"""The audit: every decision has its entry, no entry can be changed unnoticed, and personal details can be erased."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from delivery.records.database import transaction
from delivery.records.vetting import audit
from delivery.records.vetting.audit import AuditFilter, AuditView, ChainVerdict
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.rules.case_decisions import CaseNotOpen
from tasks.context import StepContext
from tasks.steps.review import decide_case
from tasks.steps.undo import undo_decision
from tests.steps.test_decisions import Hold, hold
from tests.support.build import APPROVED, REJECTED, STAFF
from tests.support.fixtures import Fixtures
from worker.cli.app import app
from worker.runtime.audit_head import AuditHeadLog

__all__ = ["hold"]
LOGIN = AuditEntry(AuditKind.LOGIN, "staff-1", details={"name": "Ada"})
Change = Callable[..., Any]


def entries(fixtures: Fixtures, subject: UUID | None = None) -> list[AuditView]:
    """Return the entries about this subject, or all, oldest first."""
    with transaction(fixtures.database) as db:
        return audit.search(db, AuditFilter(subject=str(subject) if subject else None), 1000)[::-1]


def append(context: StepContext, *given: AuditEntry) -> None:
    """Append these entries."""
    with transaction(context.database) as db:
        audit.append(db, context.settings.audit_key, *given)


def verify(context: StepContext, newest: int | None = None) -> ChainVerdict:
    """Verify the chain."""
    with transaction(context.database) as db:
        return audit.verify(db, context.settings.audit_key, newest=newest)


def change(fixtures: Fixtures, statement: str) -> None:
    """Change the audit as the owner of the database can."""
    fixtures.run_sql(f"SET LOCAL session_replication_role = replica; {statement}")


def test_decision_and_undo_have_their_entries(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    case_id = fixtures.case(message_id).case_id
    decide_case(context, case_id, replace(APPROVED, pause=timedelta(seconds=10)))
    undo_decision(context, case_id, STAFF)
    decide_case(context, case_id, replace(REJECTED, sentence="No cheques."))

    found = entries(fixtures, case_id)

    assert [AuditKind.CASE_DECIDED, AuditKind.DECISION_UNDONE, AuditKind.CASE_DECIDED] == [e.kind for e in found]
    assert ("staff-1", "reject", 3, "No cheques.") == (
        found[2].actor_id,
        found[2].facts["verdict"],
        found[2].facts["version"],
        (found[2].details or {})["sentence"],
    )
    assert (None, 3) == (verify(context).wrong_seq, verify(context).head.seq)


def test_a_refused_decision_leaves_no_entry(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    case_id = fixtures.case(hold(fixtures.account())).case_id
    decide_case(context, case_id, APPROVED)

    with pytest.raises(CaseNotOpen):
        decide_case(context, case_id, REJECTED)

    assert 1 == len(entries(fixtures))


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_event SET actor_id = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event CASCADE"]
)
def test_an_audit_entry_is_never_changed_or_deleted(fixtures: Fixtures, context: StepContext, statement: str) -> None:
    append(context, LOGIN)

    with pytest.raises(IntegrityError, match="never changed or deleted"):
        fixtures.run_sql(statement)


@pytest.mark.parametrize(
    ("statement", "wrong_seq"),
    [
        ("UPDATE audit_event SET actor_id = 'x' WHERE seq = 3", 3),
        ("UPDATE audit_event SET at = at + interval '1 us' WHERE seq = 2", 2),
        ("UPDATE audit_event SET subjects = '{a}' WHERE seq = 1", 1),
        ('UPDATE audit_event SET facts = \'{"verdict": "reject"}\' WHERE seq = 4', 4),
        ('UPDATE audit_detail SET details = \'{"name": "Eve"}\' WHERE seq = 2', 2),
        ("DELETE FROM audit_event WHERE seq = 3", 3),
        ("DELETE FROM audit_event WHERE seq < 3", 1),
    ],
)
def test_tampering_is_found(fixtures: Fixtures, context: StepContext, statement: str, wrong_seq: int) -> None:
    append(context, *[LOGIN] * 5)

    change(fixtures, statement.replace(":", r"\:"))

    assert wrong_seq == verify(context).wrong_seq


def test_another_key_does_not_fit(context: StepContext) -> None:
    append(context, LOGIN)

    with transaction(context.database) as db:
        assert 1 == audit.verify(db, b"another key").wrong_seq


def test_the_newest_entries_are_verified_alone(fixtures: Fixtures, context: StepContext) -> None:
    append(context, *[LOGIN] * 10)
    change(fixtures, "UPDATE audit_event SET actor_id = 'x' WHERE seq = 3")

    assert (None, 5) == (verify(context, 5).wrong_seq, verify(context, 5).verified)
    assert 3 == verify(context, 8).wrong_seq


def test_erased_details_leave_the_chain_whole(fixtures: Fixtures, context: StepContext) -> None:
    append(context, LOGIN, replace(LOGIN, actor_id="staff-2"))

    with transaction(context.database) as db:
        erased = audit.erase(db, "staff-1")

    assert [1] == list(erased)
    assert [None, {"name": "Ada"}] == [each.details for each in entries(fixtures)]
    assert (None, 1) == (verify(context).wrong_seq, verify(context).erased)


def test_concurrent_appends_make_one_chain_without_gaps(context: StepContext) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: append(context, LOGIN, LOGIN), range(30)))

    assert (None, 60, 60) == (verify(context).wrong_seq, verify(context).verified, verify(context).head.seq)


def test_the_head_is_logged_every_minute_when_it_has_changed(context: StepContext) -> None:
    now = [0.0]
    log = AuditHeadLog(context.database, clock=lambda: now[0])
    lines: list[list[int]] = []
    for at in (0.0, 59.0, 60.0, 120.0):
        now[0] = at
        with structlog.testing.capture_logs() as written:
            log.write_if_due()
        lines.append([each["seq"] for each in written if each["event"] == "audit_head"])
        if at == 0.0:
            append(context, LOGIN)

    assert [[], [], [1], []] == lines


def test_the_commands_show_verify_and_erase(
    fixtures: Fixtures, hold: Hold, context: StepContext, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert context.settings.sealing_key is not None
    monkeypatch.setenv("POSTROOM_SEALING_KEY", context.settings.sealing_key.get_secret_value())
    case_id = fixtures.case(hold(fixtures.account())).case_id
    decide_case(context, case_id, APPROVED)
    run = partial(command, app, "audit")

    shown = run("show", "--about", case_id, "--json")
    right = run("verify")
    erased = run("erase", "staff-1")
    change(fixtures, "UPDATE audit_event SET actor_id = 'staff-2' WHERE seq = 1")
    wrong = run("verify")

    assert ["case_decided"] == [each["kind"] for each in json.loads(shown.stdout)["entries"]]
    assert (0, 0, 1) == (right.exit_code, erased.exit_code, wrong.exit_code)
    assert "all 1 entries are right" in right.output
    assert "1 entries are erased" in erased.output
